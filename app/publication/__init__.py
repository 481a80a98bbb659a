"""What is shown to the public, and taken back from it."""
