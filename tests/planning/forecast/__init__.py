"""Tests of the model behind plans."""
