"""How long the rest of a run takes after an outage."""
