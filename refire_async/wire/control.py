"""The calls that are rare: describing a table. Over aioboto3, which retries them by itself."""

from refire_async.model.table import Table


class ControlPlane:
    """Asks about tables. Every error is a WireError, translated by the same table as the data plane's."""

    async def describe_table(self, name: str) -> Table:
        """What DescribeTable says of the table with this name or ARN."""
        raise NotImplementedError

    async def ttl_attribute(self, name: str) -> str | None:
        """The attribute that expires items, or None where time to live is off."""
        raise NotImplementedError

    async def kinesis_destinations(self, name: str) -> tuple[str, ...]:
        """ARNs of the Kinesis streams that changes of the table go to right now."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close the connections."""
        raise NotImplementedError
