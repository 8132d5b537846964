"""A flake8 plugin that finds traps in Python's process pools and inter-process communication."""

__version__ = "0.1.0"
