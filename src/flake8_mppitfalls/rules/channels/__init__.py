"""Queues, pipes and the platform."""
