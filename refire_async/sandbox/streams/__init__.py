"""DynamoDB Streams: what writes leave behind, cut into shards that follow the table's partitions."""
