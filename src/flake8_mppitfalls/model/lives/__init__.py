"""Lives: what happens to each pool, executor and process, and to the results of tasks."""
