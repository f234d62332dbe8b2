"""What runs beside the work of a sitting and steers it: one module per watcher."""
