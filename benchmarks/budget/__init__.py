"""How much of its write budget a run uses, and how much it is throttled for it."""
