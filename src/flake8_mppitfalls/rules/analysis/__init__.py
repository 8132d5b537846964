"""The analysis itself."""
