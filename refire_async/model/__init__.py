"""Values that all rooms share: items and keys, tables, selections, runs, counts, results."""
