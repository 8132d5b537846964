"""MPP8xx: queues, pipes and the platform."""
