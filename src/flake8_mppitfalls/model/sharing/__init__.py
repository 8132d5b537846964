"""Sharing: what several processes use at the same time."""
