"""Figures asked for across claims; a figure itself is part of its claim."""
