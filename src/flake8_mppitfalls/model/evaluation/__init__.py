"""Evaluation: what an expression may be, and what becomes of a value."""
