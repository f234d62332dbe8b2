"""Sources of `refire replay` and `refire redrive`: each reads records of one origin and puts them into a sink."""
