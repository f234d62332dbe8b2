"""TODO refire_async/planning."""
