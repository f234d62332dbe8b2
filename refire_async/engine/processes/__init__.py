"""Parts of a run: the work of some segments as one function of plain values, called here or in other processes."""
