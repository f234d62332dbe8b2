"""What a run can do in a small container: a part of a core and little memory."""
