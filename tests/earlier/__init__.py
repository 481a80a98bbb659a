"""Databases, exports and bundles of earlier versions, which every later version has to read."""
