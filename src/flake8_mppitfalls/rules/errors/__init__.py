"""Errors that vanish: MPP6xx."""
