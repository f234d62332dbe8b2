"""Benchmarks of refire-async."""
