"""What a stop costs: items read again, items touched twice, time."""
