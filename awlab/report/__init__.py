"""What people read: terminal output and tables. No torch."""
