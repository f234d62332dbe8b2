"""How near short runs are to what their budget allows, and what is throttled in their first second."""
