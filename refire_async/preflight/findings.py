"""Everything that `refire check` can find: ids are documented API (docs/findings.md is held against this)."""

from dataclasses import dataclass

from refire_async.model.finding import Finding, Level


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can be found. `ignorable`: whether --ignore takes its id.

    `meaning` is the general case of a finding's message, `action` what to do where a finding says nothing else.
    """

    id: str
    level: Level
    meaning: str
    action: str
    ignorable: bool = True

    def found(self, message: str, action: str = "") -> Finding:
        """The finding of this kind on a certain table."""
        return Finding(self.id, self.level, message, action or self.action)


TABLE_STATUS = Kind(
    "table-status",
    "stop",
    "The table is being created, deleted or archived, or its key cannot be reached.",
    "wait until it is ACTIVE",
)
STREAM_DISABLED = Kind(
    "stream-disabled",
    "stop",
    "The table has neither a stream nor an active Kinesis destination, so nothing would fire.",
    "enable its stream first, or give --ignore stream-disabled",
)
STREAM_OTHER = Kind(
    "stream-other",
    "stop",
    "The table's stream is not the one that --stream-arn expects: it was disabled and enabled again, or this is "
    "another table. Consumers of the old ARN hear nothing.",
    "point the consumers at the new stream, or correct --stream-arn",
)
NO_LISTENER = Kind(
    "no-listener",
    "stop",
    "Lambda functions are mapped to the stream, but all mappings are disabled or filter re-fired events out, and "
    "there is no Kinesis destination.",
    "enable a mapping or change its filter, or give --ignore no-listener if something else reads the stream",
)
MARKER_KEY = Kind(
    "marker-key",
    "stop",
    "The marker attribute is a key of the table; keys cannot be changed.",
    "name another one with --marker-attribute",
    ignorable=False,
)
MARKER_INDEX_KEY = Kind(
    "marker-index-key",
    "stop",
    "The marker attribute is a key of an index: a touch would move items within it, or into it.",
    "name another one with --marker-attribute",
    ignorable=False,
)
MARKER_TTL = Kind(
    "marker-ttl",
    "stop",
    "The marker attribute is what the table expires items by: a touch would delete items.",
    "name another one with --marker-attribute",
    ignorable=False,
)
MARKER_OVERWRITES = Kind(
    "marker-overwrites",
    "stop",
    "The stamp marker would overwrite values of the application: they are no ids of runs.",
    "name another one with --marker-attribute",
)
PERMISSION_MISSING = Kind(
    "permission-missing",
    "stop",
    "A permission is missing that the run needs.",
    "allow it in the IAM policy, or choose another --profile",
)
BAD_LINES = Kind(
    "bad-lines",
    "stop",
    "A list of keys has lines that name no key of the table. Found by a run when it reads the list, not by `check`.",
    "correct them, or leave them out with --ignore bad-lines",
)

OTHER_RUN_WORKING = Kind(
    "other-run-working",
    "warn",
    "Another run of the same table is at work: both take their budget of its capacity, and items that both select fire "
    "twice. `run` and `resume` ask before they go on.",
    "wait until it is over, or stop it",
)
OTHER_RUN_STOPPED = Kind(
    "other-run-stopped",
    "warn",
    "Another run of the same table was stopped half-way: what it has fired fires again. `run` asks before it goes on.",
    "go on with it by refire resume, or end it with refire forget",
)
WHERE_WORD = Kind(
    "where-word",
    "warn",
    "`--where` compares an attribute with a word without quotes, which is the name of another attribute.",
    "write a text in single quotes, the name of an attribute in double quotes",
)
NOTHING_MATCHED = Kind(
    "nothing-matched",
    "warn",
    "The selection has no items, or no key of a list is in the table: nothing fired. Found by a run at its end, not by "
    "`check`.",
    "check names and values of the selection, and that this is the right table",
)
GLOBAL_TABLE = Kind(
    "global-table",
    "warn",
    "The table is replicated: events fire and writes cost in every region.",
    "run in the region where the application writes, and ready the consumers in all of them",
)
OVER_CAPACITY = Kind(
    "over-capacity",
    "warn",
    "The budget allows more than the table or an index can take: the application's own writes are throttled too.",
    "lower --max-wcu, or raise the capacity first",
)
LIVE_WRITES = Kind(
    "live-writes",
    "warn",
    "The budget and what the application wrote in the last hour (CloudWatch) exceed the capacity together.",
    "lower --max-wcu or --wcu-percent, or raise the capacity first",
)
INDEX_SCARCE = Kind(
    "index-scarce",
    "warn",
    "A global index that carries the marker has less write capacity than the table: it bounds the run, and when "
    "it is exhausted the table's writes are refused.",
    "raise its capacity, or name a marker attribute that it does not project",
)
INDEX_STATUS = Kind(
    "index-status",
    "warn",
    "A global index is being built or deleted: building consumes write capacity.",
    "wait until it is ACTIVE",
)
NO_CONSUMER = Kind(
    "no-consumer",
    "warn",
    "No Lambda function is mapped to the stream and there is no Kinesis destination. Other readers (KCL, Pipes) "
    "cannot be seen.",
    "make sure that something reads the stream",
)
MAPPING_DISABLED = Kind(
    "mapping-disabled",
    "warn",
    "An event source mapping is disabled: its function is not called until it is enabled, and the stream keeps "
    "records for 24 hours only.",
    "enable the mapping before the run",
)
FILTER_NO_MODIFY = Kind(
    "filter-no-modify",
    "warn",
    "The filters of a mapping take INSERT or REMOVE only; a re-fired event is a MODIFY.",
    "add MODIFY to eventName in its FilterCriteria for the time of the run",
)
FILTER_NO_MATCH = Kind(
    "filter-no-match",
    "warn",
    "The filters of a mapping can match no re-fired event: they ask for an image that the stream does not carry, "
    "for another key or marker, or for a change that a touch does not make.",
    "change its FilterCriteria for the time of the run",
)
FILTER_OLD_IMAGE = Kind(
    "filter-old-image",
    "warn",
    "The filters of a mapping look at OldImage, which in a re-fired event is the NewImage but for the marker.",
    "make sure that the items meant to fire pass it",
)
RECORDS_EXPIRE = Kind(
    "records-expire",
    "warn",
    "A mapping discards records that are older than a limit that is shorter than the run.",
    "raise MaximumRecordAgeInSeconds, give it a destination for failures, or go slower with --max-rate",
)
CONSUMER_SLOW = Kind(
    "consumer-slow",
    "warn",
    "The run emits more records a second than a mapping takes in if a batch needs 250 ms: at its end the backlog "
    "would last more than a minute.",
    "raise BatchSize or ParallelizationFactor, or bound the run with --max-rate",
)
CONSUMER_BEHIND = Kind(
    "consumer-behind",
    "warn",
    "A function is behind already: its IteratorAge was over a minute in the last quarter of an hour.",
    "let it catch up first",
)
CONSUMER_FAILING = Kind(
    "consumer-failing",
    "warn",
    "A function failed or was throttled in the last quarter of an hour: a failing batch stands in its shard's way.",
    "find out why before sending it more",
)
KINESIS_SLOW = Kind(
    "kinesis-slow",
    "warn",
    "The run emits more records a second than the Kinesis stream's shards take (1,000 each).",
    "add shards, or bound the run with --max-rate",
)
MARKER_TYPE = Kind(
    "marker-type",
    "warn",
    "Sampled items hold something in the marker attribute that cannot be counted up: it is the application's own, and "
    "such items would fail and be listed.",
    "name another one with --marker-attribute",
)
MARKER_LOCK = Kind(
    "marker-lock",
    "warn",
    "The marker attribute looks like the application's own number, such as an optimistic lock: its writers would "
    "find it changed.",
    "name another one with --marker-attribute",
)
ITEM_NEAR_LIMIT = Kind(
    "item-near-limit",
    "warn",
    "Sampled items are within 8 KB of DynamoDB's 400 KB: one that has no room for the marker fails and is listed.",
    "leave the marker's name short, and look at the failed-keys file afterwards",
)

VIEW_TYPE = Kind(
    "view-type",
    "info",
    "The stream does not carry the new image of an item.",
    "make sure that the consumers read what else they need from the table",
)
CONSUMER_EFFECTS = Kind(
    "consumer-effects",
    "info",
    "A re-fired event is a MODIFY in which only the marker changes: what adds up or sends does it again, what "
    "compares images sees no other change, what waits for INSERT does nothing.",
    "make sure that the consumers are idempotent; --marker stamp lets them tell re-fires",
)
FILTER_INSERT = Kind(
    "filter-insert",
    "info",
    "The filters of a mapping tell INSERT from other events: its function may treat them differently.",
    "make sure that it does with a MODIFY what is wanted",
)
FILTER_SOME = Kind(
    "filter-some",
    "info",
    "The filters of a mapping look at attributes that a re-fire does not decide: only items that pass are heard.",
    "select the same items with --filter to save writes",
)
CONSUMER_LOAD = Kind(
    "consumer-load",
    "info",
    "How many invocations a mapping runs at once, and how many records a second each of them gets.",
    "bound the run with --max-rate if that is too much",
)
CONSUMER_BLOCKS = Kind(
    "consumer-blocks",
    "info",
    "A mapping tries a failing batch again until its records are 24 hours old; its shard waits as long.",
    "set MaximumRetryAttempts, BisectBatchOnFunctionError and a destination for failures",
)
KINESIS_DESTINATION = Kind(
    "kinesis-destination",
    "info",
    "Changes go to a Kinesis data stream too, where they may be doubled or out of order.",
    "make sure that its consumers are ready",
)
INDEX_COST = Kind(
    "index-cost",
    "info",
    "An index carries the marker: every touch is a write there too.",
    "name a marker attribute that it does not project to save that",
)
AUTOSCALING = Kind(
    "autoscaling",
    "info",
    "Capacity is scaled by load: a run raises it, which costs, and may be throttled until it is raised.",
    "set a minimum beforehand, or a low --wcu-percent",
)
ON_DEMAND_MAXIMUM = Kind(
    "on-demand-maximum",
    "info",
    "The table or an index has an on-demand maximum, which the run shares with the application.",
    "lower --wcu-percent to leave it room",
)
PITR_OFF = Kind(
    "pitr-off",
    "info",
    "Point-in-time recovery is off: what consumers write in error cannot be taken back. The run itself changes "
    "the marker only.",
    "turn it on before, if consumers write to this table",
)
TTL_EXPIRED = Kind(
    "ttl-expired",
    "info",
    "Sampled items have expired and wait for deletion; the run leaves such items alone.",
    "nothing needs to be done",
)
NOT_ASKED = Kind(
    "not-asked",
    "info",
    "A service could not be asked or did not answer within 3 s, so what only it knows was not looked at.",
    "allow or repair it, or look by hand",
)
NOT_SAMPLED = Kind(
    "not-sampled",
    "info",
    "No items could be looked at, so nothing is known about their markers and sizes.",
    "try again, or begin with --max-items 100",
)

KINDS: tuple[Kind, ...] = tuple(kind for kind in list(vars().values()) if isinstance(kind, Kind))
"""In the order in which they are shown: stops first."""

ASKED_ABOUT: frozenset[str] = frozenset((OTHER_RUN_WORKING.id, OTHER_RUN_STOPPED.id))
"""Findings that a run asks about, unless they are ignored."""

IGNORABLE: tuple[str, ...] = tuple(kind.id for kind in KINDS if kind.ignorable)
"""What --ignore takes. The others are refused as bad input whatever the user ignores."""
