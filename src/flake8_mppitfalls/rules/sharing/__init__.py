"""State that is not shared between processes: MPP3xx."""
