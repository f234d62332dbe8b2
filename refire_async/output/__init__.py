"""What people and programs see of a run: progress, logs, summaries. Subscribes to events; knows no engine."""
