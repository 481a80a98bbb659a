"""Requests that nobody sends on purpose, by the thousand: `make fuzz` sends them to a server of its own."""
