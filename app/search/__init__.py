"""One question, every noun."""
