"""What `refire doctor` collects for the report of a problem, without names, keys and credentials."""
