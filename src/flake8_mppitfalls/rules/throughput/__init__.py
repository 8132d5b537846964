"""How many workers there are, and whether they have anything to do at the same time."""
