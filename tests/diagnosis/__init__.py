"""Tests of what `refire doctor` lets through."""
