"""A run's control socket: one question and one answer, between processes of one user on one machine."""
