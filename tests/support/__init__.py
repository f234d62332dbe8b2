"""Helpers of the tests: backends, tables, streams and the command line as a subprocess."""
