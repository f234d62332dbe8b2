"""The processes of a run: a task as one function of plain values, and the supervisor of child processes."""
