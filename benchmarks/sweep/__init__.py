"""Which settings are fastest, for items and latencies of several sizes."""
