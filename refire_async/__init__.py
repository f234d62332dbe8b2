"""Make Amazon DynamoDB Streams fire again for items that are already in a table."""

__version__ = "0.1.0"
