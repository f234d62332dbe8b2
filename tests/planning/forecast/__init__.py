"""Tests of refire_async/planning/forecast."""
