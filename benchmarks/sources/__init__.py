"""What naming items by a list costs, against scanning the table."""
