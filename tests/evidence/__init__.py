"""Evidence that the promises hold: kills, faults and live writers, and the command that gives the figures."""
