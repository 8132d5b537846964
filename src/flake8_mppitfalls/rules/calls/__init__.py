"""The shape of the call: MPP7xx."""
