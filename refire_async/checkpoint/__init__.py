"""The checkpoint of a run: a SQLite file with its ledger, cursors, counts, history and recording
(docs/checkpoint.md)."""
