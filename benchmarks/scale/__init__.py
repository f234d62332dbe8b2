"""Whether speed, memory and the checkpoint stay the same when tables grow."""
