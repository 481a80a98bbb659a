"""The ledger behind everything: who changed what, when and why."""
