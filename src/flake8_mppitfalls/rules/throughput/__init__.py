"""Worker counts and throughput."""
