"""verify: planted faults among the events of a run, found again from its stream."""
