"""The state of a run in a DynamoDB table: `--checkpoint dynamodb://TABLE/RUN_ID`. See docs/checkpoint.md."""
