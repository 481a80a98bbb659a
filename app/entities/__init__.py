"""Who and what claims are made by and about."""
