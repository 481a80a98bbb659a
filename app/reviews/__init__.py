"""Checking: evidence, reviews, and the moves of a claim's verification."""
