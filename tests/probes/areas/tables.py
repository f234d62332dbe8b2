"""What the service tells about tables, and names that are missing or taken."""

from typing import Any

from tests.probes.facts import Area, Seen, equal
from tests.probes.lab import Lab
from tests.probes.sources import MODEL, api, dg
from tests.probes.tables import KINDS, PK

area = Area("tables", "Tables and their settings", tables=("simple",))


@area(
    "identity",
    assumed="A table that is deleted and made again under its name has another TableId.",
    source=api("TableDescription"),
    code="checkpoint/identity.py, aws/control_plane.py",
    rests="Resume, No harm",
    how="Make a table, delete it and make it again; whether the ids (or the times of creation) are the same.",
    believed={
        "dynamodb-local": "the service, after its API Reference; without an id the program compares times of creation"
    },
    tables=("changing",),
)
def _(lab: Lab) -> Seen:
    name = lab.table("changing")
    before = _describe(lab, name)
    lab.dynamodb.delete_table(TableName=name)
    lab.wait("the end of the table", lambda: _is_gone(lab, name), 300.0)
    lab.make_table(name, KINDS["changing"][1])
    after = lab.wait_for_table(name)
    member = "TableId" if "TableId" in before else "CreationDateTime"
    return equal(
        "TableId, another", f"{member}, {'another' if before[member] != after[member] else 'the same'}"
    )


@area(
    "on-demand",
    assumed="A table on demand has the billing mode PAY_PER_REQUEST and provisioned units of 0.",
    source=api("TableDescription"),
    code="aws/control_plane.py, preflight/table.py",
    rests="Budget, Check",
    how="The description of such a table.",
)
def _(lab: Lab) -> Seen:
    table = _describe(lab, lab.table("simple"))
    units = table.get("ProvisionedThroughput", {})
    return equal(
        "PAY_PER_REQUEST, 0, 0",
        [
            table.get("BillingModeSummary", {}).get("BillingMode"),
            units.get("ReadCapacityUnits"),
            units.get("WriteCapacityUnits"),
        ],
    )


@area(
    "provisioned",
    assumed="A provisioned table has its units, and no billing mode PAY_PER_REQUEST.",
    source=api("TableDescription"),
    code="aws/control_plane.py, pacing/capacity.py",
    rests="Budget, Check",
    how="The description of a table with 1 read and 1 write unit.",
    tables=("slow",),
)
def _(lab: Lab) -> Seen:
    table = _describe(lab, lab.table("slow"))
    units = table["ProvisionedThroughput"]
    mode = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    return equal("PROVISIONED, 1, 1", [mode, units["ReadCapacityUnits"], units["WriteCapacityUnits"]])


@area(
    "maximum",
    assumed="DescribeTable tells the maximum of request units that was set.",
    source=api("TableDescription: OnDemandThroughput"),
    code="aws/control_plane.py, pacing/capacity.py",
    rests="Budget, Check",
    how="The description of a table with a maximum of 1 and 1.",
    tables=("capped",),
    believed={
        "dynamodb-local": "the service, after its API Reference: DynamoDB Local takes the setting and forgets it"
    },
)
def _(lab: Lab) -> Seen:
    maximum = _describe(lab, lab.table("capped")).get("OnDemandThroughput", {})
    return equal("1, 1", [maximum.get("MaxReadRequestUnits"), maximum.get("MaxWriteRequestUnits")])


@area(
    "warm-throughput",
    assumed="DescribeTable tells what the table serves at once: 12,000 reads and 4,000 writes a second of a new one.",
    source=f"{dg('Warm throughput')}; {MODEL}",
    code="aws/control_plane.py, planning/planner.py, sandbox/operations/describe_table.py",
    rests="Plan, Budget, Sandbox",
    how="WarmThroughput of a new table on demand.",
    believed={
        "dynamodb-local": "the service, after its documentation: DynamoDB Local does not tell it",
        "ministack": "the service, after its documentation: ministack tells 0",
    },
)
def _(lab: Lab) -> Seen:
    warm = _describe(lab, lab.table("simple")).get("WarmThroughput", {})
    return equal("12000, 4000", [warm.get("ReadUnitsPerSecond"), warm.get("WriteUnitsPerSecond")])


@area(
    "indexes-described",
    assumed="DescribeTable tells keys and projection of each index, and whether a global one is active.",
    source=api("TableDescription"),
    code="aws/control_plane.py, preflight/table.py, preflight/marker.py",
    rests="Coverage, Budget, Check",
    how="The description of a table with three global indexes and a local one.",
    tables=("indexed",),
)
def _(lab: Lab) -> Seen:
    table = _describe(lab, lab.table("indexed"))
    entries = [
        f"{index['IndexName']} {index['Projection']['ProjectionType']} {index.get('IndexStatus', 'local')}"
        for index in [*table["GlobalSecondaryIndexes"], *table["LocalSecondaryIndexes"]]
    ]
    return equal(
        "keys KEYS_ONLY ACTIVE, local INCLUDE local, some INCLUDE ACTIVE, whole ALL ACTIVE", sorted(entries)
    )


@area(
    "stream-described",
    assumed="DescribeTable tells whether a stream is enabled, its view type and its ARN.",
    source=api("TableDescription: StreamSpecification"),
    code="aws/control_plane.py, preflight/table.py",
    rests="Coverage, Check",
    how="The description of a table with a stream, and of one without.",
    tables=("simple", "sorted"),
)
def _(lab: Lab) -> Seen:
    said = []
    for kind in ("simple", "sorted"):
        table = _describe(lab, lab.table(kind))
        stream = table.get("StreamSpecification", {})
        said.append(
            f"{bool(stream.get('StreamEnabled'))} {stream.get('StreamViewType')} {bool(table.get('LatestStreamArn'))}"
        )
    return equal("True NEW_AND_OLD_IMAGES True, False None False", said)


@area(
    "time-to-live",
    assumed="DescribeTimeToLive tells DISABLED, and ENABLED or ENABLING with the attribute once it is set.",
    source=api("DescribeTimeToLive"),
    code="aws/control_plane.py, engine/beginning.py, pipeline/triage.py",
    rests="No harm, Check",
    how="Ask, set the attribute `expires`, ask again.",
    tables=("sorted",),
)
def _(lab: Lab) -> Seen:
    name = lab.table("sorted")

    def look() -> list[str]:
        shown = lab.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        return [shown["TimeToLiveStatus"].replace("ENABLING", "ENABLED"), shown.get("AttributeName", "none")]

    before = look()
    lab.dynamodb.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )
    return equal("DISABLED, none, ENABLED, expires", [*before, *look()])


@area(
    "point-in-time-recovery",
    assumed="DescribeContinuousBackups tells that point-in-time recovery of a new table is disabled.",
    source=api("DescribeContinuousBackups"),
    code="aws/control_plane.py, preflight/table.py",
    rests="Check",
    how="Ask for a new table.",
)
def _(lab: Lab) -> Seen:
    answer = lab.attempt(lab.dynamodb.describe_continuous_backups, TableName=lab.table("simple"))
    shown = answer.body.get("ContinuousBackupsDescription", {}).get("PointInTimeRecoveryDescription", {})
    return equal("DISABLED", shown.get("PointInTimeRecoveryStatus", answer.said))


@area(
    "kinesis-destinations",
    assumed="DescribeKinesisStreamingDestination of a table without any returns an empty list.",
    source=api("DescribeKinesisStreamingDestination"),
    code="aws/control_plane.py, preflight/table.py",
    rests="Check",
    how="Ask for a new table.",
)
def _(lab: Lab) -> Seen:
    answer = lab.attempt(lab.dynamodb.describe_kinesis_streaming_destination, TableName=lab.table("simple"))
    found = answer.body.get("KinesisDataStreamDestinations")
    return equal("empty", answer.code or ("empty" if found == [] else "not empty"))


@area(
    "name-is-taken",
    assumed="CreateTable under a name that is taken is a ResourceInUseException.",
    source=api("CreateTable"),
    code="checkpoint/dynamodb/lifecycle.py",
    rests="Checkpoint table",
    how="Make a table that is there.",
)
def _(lab: Lab) -> Seen:
    parameters = KINDS["simple"][1]
    answer = lab.attempt(lab.dynamodb.create_table, TableName=lab.table("simple"), **parameters)
    return equal("ResourceInUseException", answer.said)


@area(
    "missing-table",
    assumed="Every operation on a table that is missing is a ResourceNotFoundException, also as a member of a batch.",
    source=api("Common Errors"),
    code="aws/errors.py, aws/error_hints.py",
    rests="Honest end, Check",
    how="DescribeTable, Scan, UpdateItem and a PartiQL UPDATE in a batch.",
)
def _(lab: Lab) -> Seen:
    name = f"{lab.table('simple')}-missing"
    (member,) = lab.members((f'UPDATE "{name}" SET "r" = ? WHERE "{PK}" = ?', [{"N": "1"}, {"S": "k"}]))
    said = [
        lab.attempt(lab.dynamodb.describe_table, TableName=name).said,
        lab.attempt(lab.dynamodb.scan, TableName=name).said,
        lab.attempt(
            lab.dynamodb.update_item, TableName=name, Key={PK: {"S": "k"}}, UpdateExpression="REMOVE r"
        ).said,
        member,
    ]
    return equal(["ResourceNotFoundException"] * 3 + ["ResourceNotFound"], said)


area.untried(
    "counts-lag",
    assumed="ItemCount and TableSizeBytes are up to six hours old.",
    source=api("TableDescription"),
    code="planning/survey/table.py, pipeline/sizing.py",
    rests="Plan",
    reason="it takes hours; the program calls them an estimate",
)
area.untried(
    "incremental-exports",
    assumed="An incremental export has one line for each item: keys, time of the write in microseconds, images.",
    source=dg("DynamoDB data export to Amazon S3: output format"),
    code="delivery/sources/export.py, sources/export_folder.py",
    rests="Every record",
    reason="an export takes point-in-time recovery for at least 15 minutes",
)


def _describe(lab: Lab, name: str) -> dict[str, Any]:
    table: dict[str, Any] = lab.dynamodb.describe_table(TableName=name)["Table"]
    return table


def _is_gone(lab: Lab, name: str) -> bool | None:
    return True if lab.attempt(lab.dynamodb.describe_table, TableName=name).code else None
