"""State that is not shared."""
