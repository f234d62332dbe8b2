"""What grows with the number of items beside a run: the proof's disk and memory, the run's list of keys."""
