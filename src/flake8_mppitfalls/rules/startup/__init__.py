"""What goes wrong when processes are started, and when a child imports the script."""
