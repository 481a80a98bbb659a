"""Running a base: its backups, its health, its measures."""
