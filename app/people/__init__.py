"""The people of the newsroom: who works here, for whom, and how they leave."""
