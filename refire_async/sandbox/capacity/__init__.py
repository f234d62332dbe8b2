"""Capacity as DynamoDB accounts for it: units, partitions, limits, throttling. Pure; time comes from a Clock."""
