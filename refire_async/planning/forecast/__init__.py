"""What a run will do: items, units, time, money and the backlog of its consumers. Pure."""
