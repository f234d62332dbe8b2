"""The facts of each area, and the probes that try them."""
