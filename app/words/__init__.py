"""Words in an index of our own, which is the same on both databases: it knows no noun."""
