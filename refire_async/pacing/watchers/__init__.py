"""Background tasks that adjust the limits of an attempt: one module per watcher."""
