"""TODO refire_async/engine."""
