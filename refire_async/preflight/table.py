"""Rules about the table, its stream, its indexes and its items. Pure."""

from collections.abc import Mapping

from refire_async.aws.autoscaling import resource_id
from refire_async.model.capacity import TABLE
from refire_async.model.finding import Finding
from refire_async.model.table import Table
from refire_async.pacing.capacity import write_capacity
from refire_async.preflight import findings
from refire_async.preflight.facts import Facts

WRITABLE = ("ACTIVE", "UPDATING")


def check_table(facts: Facts) -> list[Finding]:
    """Status, replicas, backups, time to live."""
    table = facts.run.table
    found = []
    if table.status not in WRITABLE:
        found.append(findings.TABLE_STATUS.found(f"table {table.name} is {table.status}"))
    if table.replicas:
        regions = ", ".join(table.replicas)
        found.append(
            findings.GLOBAL_TABLE.found(
                f"table {table.name} is replicated: events fire and writes cost in {regions} too"
            )
        )
    if facts.pitr is False:
        found.append(findings.PITR_OFF.found(f"point-in-time recovery of table {table.name} is off"))
    if facts.sample is not None and facts.sample.expired:
        found.append(
            findings.TTL_EXPIRED.found(
                f"{facts.sample.expired:,} of {facts.sample.items:,} sampled items have expired; the run "
                + ("touches them too" if facts.run.selection.include_expired else "skips them")
            )
        )
    return found


def check_stream(facts: Facts) -> list[Finding]:
    """Whether there is a stream, whether it is the expected one, and its view type."""
    table, expected = facts.run.table, facts.run.expected_stream
    stream = table.stream
    found = []
    if not stream.enabled and not facts.kinesis:
        found.append(
            findings.STREAM_DISABLED.found(
                f"table {table.name} has neither a stream nor a Kinesis destination, so nothing would fire"
            )
        )
    if expected is not None and (not stream.enabled or stream.arn != expected):
        actual = (
            f"the stream of table {table.name} is {stream.arn}"
            if stream.enabled
            else f"table {table.name} has no stream"
        )
        found.append(findings.STREAM_OTHER.found(f"{actual}, --stream-arn is {expected}"))
    if stream.enabled and stream.view_type in ("KEYS_ONLY", "OLD_IMAGE"):
        content = "only keys" if stream.view_type == "KEYS_ONLY" else "only the image before the touch"
        found.append(
            findings.VIEW_TYPE.found(f"the stream is {stream.view_type}: its records contain {content}")
        )
    return found


def check_capacity(facts: Facts) -> list[Finding]:
    """The budget against the capacity of the table and of the indexes that project the marker."""
    run = facts.run
    table, limits = run.table, run.limits.write
    own = write_capacity(table.throughput, table.billing)
    found = []
    if limits[TABLE] > own:
        found.append(
            findings.OVER_CAPACITY.found(
                f"the budget of {limits[TABLE]:,.0f} WCU/s exceeds the {own:,.0f} that table {table.name} "
                + ("can serve now" if table.billing == "PAY_PER_REQUEST" else "has")
            )
        )
    elif facts.live_wcu and facts.live_wcu + limits[TABLE] > own:
        found.append(
            findings.LIVE_WRITES.found(
                f"the application wrote up to {facts.live_wcu:,.0f} WCU/s in the last hour; with the budget of "
                f"{limits[TABLE]:,.0f} that exceeds the {own:,.0f} of table {table.name}"
            )
        )
    found += _maxima(table, limits)
    found += _indexes(table, run.marker_attribute, own)
    found.extend(
        findings.AUTOSCALING.found(
            f"write capacity of {resource_id(table.name, scaling.resource)} scales from {scaling.min_wcu:,} "
            f"to {scaling.max_wcu:,} WCU"
        )
        for scaling in facts.scaling
    )
    return found


def _maxima(table: Table, limits: Mapping[str, float]) -> list[Finding]:
    """On-demand maxima of the table and of the indexes that project the marker."""
    if table.billing != "PAY_PER_REQUEST":
        return []
    described = {TABLE: (f"table {table.name}", table.throughput)}
    described |= {index.name: (f"index {index.name}", index.throughput) for index in table.indexes}
    return [
        findings.ON_DEMAND_MAXIMUM.found(
            f"{what} has an on-demand maximum of {maximum:,.0f} write units/s; the run uses up to "
            f"{min(limit, maximum):,.0f} of it"
        )
        for what, throughput, limit in ((*described[name], limit) for name, limit in limits.items())
        if (maximum := throughput.maximum_write) is not None
    ]


def _indexes(table: Table, marker: str, own: float) -> list[Finding]:
    found = []
    for index in table.indexes:
        if index.status != "ACTIVE":
            found.append(findings.INDEX_STATUS.found(f"index {index.name} is {index.status}"))
        if not index.projects(marker, table.keys):
            continue
        if index.scope == "local":
            found.append(
                findings.INDEX_COST.found(
                    f"local index {index.name} projects {marker}: a touch consumes the table's capacity for both"
                )
            )
            continue
        capacity = write_capacity(index.throughput, table.billing)
        # The warm throughput of an on-demand index depends on its own history; a configured maximum is a limit.
        configured = table.billing == "PROVISIONED" or index.throughput.maximum_write is not None
        if configured and capacity < own:
            found.append(
                findings.INDEX_SCARCE.found(
                    f"index {index.name} projects {marker} and has {capacity:,.0f} WCU/s, the table has {own:,.0f}"
                )
            )
        else:
            found.append(
                findings.INDEX_COST.found(
                    f"index {index.name} projects {marker}: a touch consumes its capacity of {capacity:,.0f} WCU/s too"
                )
            )
    return found


def check_items(facts: Facts) -> list[Finding]:
    """Findings from the sample other than markers, or why there is no sample."""
    sample = facts.sample
    if facts.not_sampled is not None:
        return [findings.NOT_SAMPLED.found(f"no items were sampled: {facts.not_sampled}")]
    if sample is None or not sample.near_limit:
        return []
    return [
        findings.ITEM_NEAR_LIMIT.found(
            f"{sample.near_limit:,} of {sample.items:,} sampled items are within 8 KB of the item size limit of 400 KB"
        )
    ]
