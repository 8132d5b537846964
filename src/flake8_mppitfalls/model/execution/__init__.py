"""Execution: what runs where, when, and on which side."""
