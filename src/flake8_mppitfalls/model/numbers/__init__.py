"""Numbers: worker counts and other numbers, as intervals."""
