"""How close a run comes to the least possible time when keys are not spread evenly."""
