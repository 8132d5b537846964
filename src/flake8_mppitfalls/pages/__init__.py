"""What is told about a rule: its docstring taken apart, and what the runs of its traps showed."""
