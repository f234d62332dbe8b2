"""Runs: start, resume and check them; one attempt with its budget, processes, canary and summary."""
