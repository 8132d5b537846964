"""The lives of pools and processes: MPP4xx."""
