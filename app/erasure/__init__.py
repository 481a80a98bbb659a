"""Erasures: words removed for good, by order of an admin, from wherever they are read."""
