"""The kinds of findings. Ids are documented API; a test compares docs/findings.md with this file."""

from dataclasses import dataclass

from refire_async.model.finding import Finding, Level


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding. `ignorable`: whether --ignore accepts its id.

    `meaning` describes the kind in general, `action` is the default of a finding's action.
    """

    id: str
    level: Level
    meaning: str
    action: str
    ignorable: bool = True

    def found(self, message: str, action: str = "") -> Finding:
        """A finding of this kind for one table."""
        return Finding(self.id, self.level, message, action or self.action)


TABLE_STATUS = Kind(
    "table-status",
    "stop",
    "The table is being created, deleted or archived, or its encryption key is not accessible.",
    "wait until it is ACTIVE",
)
STREAM_DISABLED = Kind(
    "stream-disabled",
    "stop",
    "The table has neither a stream nor an active Kinesis destination, so a run would emit no events.",
    "enable its stream first, or give --ignore stream-disabled",
)
STREAM_OTHER = Kind(
    "stream-other",
    "stop",
    "The table's stream is not the one that --stream-arn names: it was disabled and enabled again, or this is"
    " another table. Consumers of the old ARN receive nothing.",
    "point the consumers at the new stream, or correct --stream-arn",
)
NO_LISTENER = Kind(
    "no-listener",
    "stop",
    "Lambda functions are mapped to the stream, but every mapping is disabled or filters re-fired events out,"
    " and there is no Kinesis destination.",
    "enable a mapping or change its filter, or give --ignore no-listener if another application reads the "
    "stream",
)
MARKER_KEY = Kind(
    "marker-key",
    "stop",
    "The marker attribute is a key of the table; keys cannot be changed.",
    "choose another attribute with --marker-attribute",
    ignorable=False,
)
MARKER_INDEX_KEY = Kind(
    "marker-index-key",
    "stop",
    "The marker attribute is a key of an index: a touch would move items within the index or add them to it.",
    "choose another attribute with --marker-attribute",
    ignorable=False,
)
MARKER_TTL = Kind(
    "marker-ttl",
    "stop",
    "The marker attribute is the table's time to live attribute: a touch would delete items.",
    "choose another attribute with --marker-attribute",
    ignorable=False,
)
MARKER_OVERWRITES = Kind(
    "marker-overwrites",
    "stop",
    "The stamp marker would overwrite values of the application: they are not run ids.",
    "choose another attribute with --marker-attribute",
)
PERMISSION_MISSING = Kind(
    "permission-missing",
    "stop",
    "The credentials lack a permission that the run needs.",
    "allow it in the IAM policy, or use another --profile",
)
BAD_LINES = Kind(
    "bad-lines",
    "stop",
    "A list of keys has lines that are not keys of the table. A run reports this when it reads the list; "
    "`check` does not.",
    "correct them, or skip them with --ignore bad-lines",
)

STALE_IMAGES = Kind(
    "stale-images",
    "stop",
    "Records to replay have keys with a later record that is not delivered (after --until, or not selected): a consumer"
    " that keeps the last image would be set back. `replay` reports this after it has read ahead; `check` does not.",
    "leave out --until, give --latest-per-key, or disable the function's mapping first",
)
BAD_FAILURE_RECORDS = Kind(
    "bad-failure-records",
    "stop",
    "A place with failed batches holds something that is not the record of one. `redrive` reports this when it collects"
    " them; `check` does not.",
    "correct the source, or skip what is none with --ignore bad-failure-records",
)
EXPORT_GAP = Kind(
    "export-gap",
    "stop",
    "Between two exports to replay is time that neither has: changes are missing. `replay` reports this before it"
    " reads them; `check` does not.",
    "export that window too, or skip it with --ignore export-gap",
)
EXPORT_OVERLAP = Kind(
    "export-overlap",
    "stop",
    "Two exports to replay have the same changes, which would be delivered twice. `replay` reports this before it"
    " reads them; `check` does not.",
    "leave one out, or deliver these changes twice with --ignore export-overlap",
)
RANGE_HOLDS_OTHERS = Kind(
    "range-holds-others",
    "warn",
    "The range of the stream that a failed batch names does not hold as many matching records as the batch had: it"
    " also holds records of other lanes that succeeded, or some are gone. `redrive` asks before it continues.",
    "compare the numbers; records that succeeded before are delivered again",
)
RECORDS_TRIMMED = Kind(
    "records-trimmed",
    "warn",
    "Records to deliver are older than 24 hours and no longer in the stream. `replay` and `redrive` report them.",
    "touch their items with refire run, or replay an incremental export",
)
MAPPING_READS = Kind(
    "mapping-reads",
    "warn",
    "The function's own event source mapping reads the same shards during a replay. A shard allows two readers (one"
    " in a global table): with another consumer, all of them are throttled.",
    "watch the iterator age, or replay when there is less traffic",
)
OTHER_RUN_WORKING = Kind(
    "other-run-working",
    "warn",
    "Another run of the same table is in progress: both use their budget of its capacity, and items that both"
    " select fire twice. `run` and `resume` ask before they continue.",
    "wait until it has finished, or stop it",
)
OTHER_RUN_STOPPED = Kind(
    "other-run-stopped",
    "warn",
    "Another run of the same table was stopped before its end: items that it has fired would fire again. "
    "`run` asks before it continues.",
    "continue it with refire resume, or discard it with refire forget",
)
WHERE_WORD = Kind(
    "where-word",
    "warn",
    "`--where` compares an attribute with a word without quotes, which is the name of another attribute.",
    "put text in single quotes, attribute names in double quotes",
)
NOTHING_MATCHED = Kind(
    "nothing-matched",
    "warn",
    "The selection has no items, or no key of a list is in the table: no events were emitted. A run reports "
    "this at its end; `check` does not.",
    "check the names and values of the selection, and that this is the right table",
)
TASK_HELD = Kind(
    "task-held",
    "warn",
    "Another process works on this task of a run in a checkpoint table. A run waits until that process ends, or takes"
    " the task over when it gives no sign of life for 20 s; `check` does not report this.",
    "wait, or stop this process if it was started by mistake",
)
GLOBAL_TABLE = Kind(
    "global-table",
    "warn",
    "The table is replicated: events fire, and writes are charged, in every region.",
    "run in the region where the application writes, and prepare the consumers in all regions",
)
OVER_CAPACITY = Kind(
    "over-capacity",
    "warn",
    "The budget is more than the table or an index can serve: the application's own writes would be throttled"
    " too.",
    "lower --max-wcu, or raise the capacity first",
)
LIVE_WRITES = Kind(
    "live-writes",
    "warn",
    "The budget plus the application's writes of the last hour (CloudWatch) exceed the capacity.",
    "lower --max-wcu or --wcu-percent, or raise the capacity first",
)
INDEX_SCARCE = Kind(
    "index-scarce",
    "warn",
    "A global index that projects the marker has less write capacity than the table: it limits the run, and "
    "when it is exhausted the table's writes are throttled.",
    "raise its capacity, or choose a marker attribute that it does not project",
)
INDEX_STATUS = Kind(
    "index-status",
    "warn",
    "A global index is being created or deleted: the backfill consumes write capacity.",
    "wait until it is ACTIVE",
)
NO_CONSUMER = Kind(
    "no-consumer",
    "warn",
    "No Lambda function is mapped to the stream and there is no Kinesis destination. Other readers (KCL, "
    "EventBridge Pipes) cannot be detected.",
    "make sure that an application reads the stream",
)
MAPPING_DISABLED = Kind(
    "mapping-disabled",
    "warn",
    "An event source mapping is disabled: its function is not invoked until it is enabled, and the stream "
    "keeps records for 24 hours only.",
    "enable the mapping before the run",
)
FILTER_NO_MODIFY = Kind(
    "filter-no-modify",
    "warn",
    "The filters of a mapping match INSERT or REMOVE only; a re-fired event is a MODIFY.",
    "add MODIFY to eventName in its FilterCriteria for the duration of the run",
)
FILTER_NO_MATCH = Kind(
    "filter-no-match",
    "warn",
    "The filters of a mapping cannot match a re-fired event: they require an image that the stream does not "
    "carry, another key or marker, or a change that a touch does not make.",
    "change its FilterCriteria for the duration of the run",
)
FILTER_OLD_IMAGE = Kind(
    "filter-old-image",
    "warn",
    "The filters of a mapping use OldImage, which in a re-fired event equals NewImage except for the marker.",
    "make sure that the filters match the items to re-fire",
)
RECORDS_EXPIRE = Kind(
    "records-expire",
    "warn",
    "A mapping discards records older than a limit that is shorter than the run.",
    "raise MaximumRecordAgeInSeconds, add an on-failure destination, or slow the run down with --max-rate",
)
CONSUMER_SLOW = Kind(
    "consumer-slow",
    "warn",
    "The run emits more records/s than a mapping can process at 250 ms per batch: at its end the backlog "
    "would take more than a minute.",
    "raise BatchSize or ParallelizationFactor, or limit the run with --max-rate",
)
CONSUMER_BEHIND = Kind(
    "consumer-behind",
    "warn",
    "A function is already behind: its IteratorAge exceeded one minute in the last 15 minutes.",
    "let it catch up first",
)
CONSUMER_FAILING = Kind(
    "consumer-failing",
    "warn",
    "A function failed or was throttled in the last 15 minutes: a failing batch blocks its shard.",
    "find the cause before sending more records",
)
KINESIS_SLOW = Kind(
    "kinesis-slow",
    "warn",
    "The run emits more records/s than the shards of the Kinesis data stream accept (1,000 each).",
    "add shards, or limit the run with --max-rate",
)
MARKER_TYPE = Kind(
    "marker-type",
    "warn",
    "Sampled items have a value in the marker attribute that is not a number to increment: it belongs to the "
    "application, and the run would list these items as failed.",
    "choose another attribute with --marker-attribute",
)
MARKER_LOCK = Kind(
    "marker-lock",
    "warn",
    "The marker attribute looks like the application's own number, such as an optimistic lock: conditional "
    "writes of the application could fail.",
    "choose another attribute with --marker-attribute",
)
ITEM_NEAR_LIMIT = Kind(
    "item-near-limit",
    "warn",
    "Sampled items are within 8 KB of DynamoDB's limit of 400 KB: an item without room for the marker fails "
    "and is listed.",
    "use a short marker attribute name, and check the failed-keys file afterwards",
)

VIEW_TYPE = Kind(
    "view-type",
    "info",
    "The stream does not carry the new image of an item.",
    "make sure that the consumers read everything else they need from the table",
)
CONSUMER_EFFECTS = Kind(
    "consumer-effects",
    "info",
    "A re-fired event is a MODIFY in which only the marker changes: consumers that add up totals or send "
    "messages do so again, consumers that compare images see no other change, consumers that wait for INSERT "
    "do nothing.",
    "make sure that the consumers are idempotent; with --marker stamp they can recognize re-fired events",
)
FILTER_INSERT = Kind(
    "filter-insert",
    "info",
    "The filters of a mapping distinguish INSERT from other events: its function may process them "
    "differently.",
    "make sure that it processes a MODIFY as intended",
)
FILTER_SOME = Kind(
    "filter-some",
    "info",
    "The filters of a mapping use attributes that a re-fire does not determine: only matching items reach the"
    " function.",
    "select the same items with --filter to save writes",
)
CONSUMER_LOAD = Kind(
    "consumer-load",
    "info",
    "The number of concurrent invocations of a mapping, and the records/s of each.",
    "limit the run with --max-rate if that is too much",
)
CONSUMER_BLOCKS = Kind(
    "consumer-blocks",
    "info",
    "A mapping retries a failing batch until its records are 24 hours old; its shard is blocked until then.",
    "set MaximumRetryAttempts, BisectBatchOnFunctionError and an on-failure destination",
)
KINESIS_DESTINATION = Kind(
    "kinesis-destination",
    "info",
    "Changes are also sent to a Kinesis data stream, where records may be duplicated or out of order.",
    "make sure that its consumers are ready",
)
INDEX_COST = Kind(
    "index-cost",
    "info",
    "An index projects the marker: every touch writes to the index too.",
    "to avoid that, choose a marker attribute that it does not project",
)
AUTOSCALING = Kind(
    "autoscaling",
    "info",
    "Autoscaling adjusts the capacity: a run raises it, which costs money, and may be throttled until it is "
    "raised.",
    "raise the minimum beforehand, or use a low --wcu-percent",
)
ON_DEMAND_MAXIMUM = Kind(
    "on-demand-maximum",
    "info",
    "The table or an index has an on-demand maximum, which the run shares with the application.",
    "lower --wcu-percent to leave capacity for the application",
)
PITR_OFF = Kind(
    "pitr-off",
    "info",
    "Point-in-time recovery is off: wrong writes of the consumers could not be undone. The run itself changes"
    " only the marker.",
    "enable it first if consumers write to this table",
)
TTL_EXPIRED = Kind(
    "ttl-expired",
    "info",
    "Sampled items have expired and await deletion; the run skips them.",
    "no action needed",
)
NOT_ASKED = Kind(
    "not-asked",
    "info",
    "A service could not be queried or did not answer within 3 s, so facts that only it has are missing.",
    "allow or repair the access, or check by hand",
)
NOT_SAMPLED = Kind(
    "not-sampled",
    "info",
    "No items could be read, so their markers and sizes are unknown.",
    "try again, or begin with --max-items 100",
)

KINDS: tuple[Kind, ...] = tuple(kind for kind in list(vars().values()) if isinstance(kind, Kind))
"""In the order of display: stops first."""

NEED_CONFIRMATION: frozenset[str] = frozenset((OTHER_RUN_WORKING.id, OTHER_RUN_STOPPED.id))
"""Findings that the user must confirm before a run, unless they are ignored."""

IGNORABLE: tuple[str, ...] = tuple(kind.id for kind in KINDS if kind.ignorable)
"""Ids that --ignore accepts. The other findings always end a run."""
