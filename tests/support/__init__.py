"""What the tests stand on: backends, tables, streams and the command line as a subprocess."""
