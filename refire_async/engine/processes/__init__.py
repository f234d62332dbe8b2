"""The processes of a run: the work on some segments as one function of plain values, and its supervisor."""
