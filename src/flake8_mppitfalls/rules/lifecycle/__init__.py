"""The life of pools and processes."""
