"""The shape of the call."""
