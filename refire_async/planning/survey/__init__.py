"""Samples a table within bounds, to estimate the load of a run. Writes nothing."""
