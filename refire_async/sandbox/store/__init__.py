"""Where items live: ordered rows of key hash and sort key, tables, secondary indexes, and changes of them."""
