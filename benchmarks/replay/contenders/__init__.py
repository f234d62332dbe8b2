"""Programs that deliver the same stream to the same function, each in its own way."""
