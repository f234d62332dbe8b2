"""A run's control socket: one request and one answer, between processes of one user on one machine."""
