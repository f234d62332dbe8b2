"""`refire plan`: surveys a table or a list of keys and forecasts units, time, cost and backlog."""
