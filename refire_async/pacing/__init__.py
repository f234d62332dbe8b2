"""How fast a run may read and write: budgets, limiters, the governor, and the watchers that limit it."""
