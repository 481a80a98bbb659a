"""What other programs ask in protocols of their own."""
