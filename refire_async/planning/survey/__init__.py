"""A bounded look at a table: what a run of a selection would have to do. Writes nothing."""
