"""Records in and out: files to rows and back."""
