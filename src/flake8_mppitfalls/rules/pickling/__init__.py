"""What crosses the process boundary."""
