"""What several tasks on one checkpoint table cost, and how much of the budget they use while one of them is lost."""
