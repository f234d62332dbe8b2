"""Proof from the table's stream that every item which a run says it touched has fired, once.

What the run says (`claims`, from its checkpoint) and what the stream holds (`changes`) meet by key in `judge`. Both
go through partitions on disk (`spill`), so that 10,000,000 items need no more memory than 100,000.
"""
