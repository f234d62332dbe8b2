"""The cost model of a run: items, units, time, cost and the backlog of its consumers. Pure."""
