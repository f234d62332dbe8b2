"""Black-box scenarios: the real command line against every backend."""
