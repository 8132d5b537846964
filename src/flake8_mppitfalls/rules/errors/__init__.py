"""Errors that vanish."""
