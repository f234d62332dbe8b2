"""DynamoDB Streams: the records of writes, in shards that follow the table's partitions."""
