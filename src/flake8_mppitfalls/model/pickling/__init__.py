"""Pickling: what can go to another process, and what stops it."""
