"""Channels: queues and pipes, who fills them and who empties them."""
