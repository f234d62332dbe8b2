"""The output of a run: progress, logs, metrics, JSON events, summaries. Subscribes to events; knows no engine."""
