"""Tests of refire_async/planning/survey."""
