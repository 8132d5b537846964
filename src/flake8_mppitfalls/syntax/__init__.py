"""The source as trees: LibCST's, and the way back to lines and columns."""
