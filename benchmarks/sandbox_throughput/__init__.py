"""How much one sandbox process can serve: conditional PartiQL batches, UpdateItem, Scan."""
