"""Webhooks: the ledger told to addresses that want to hear of it."""
