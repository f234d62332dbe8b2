"""Tests of looks at a table."""
