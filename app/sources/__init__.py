"""Published documents and the snapshots of their text."""
