"""What a run leaves behind: files, no torch."""
