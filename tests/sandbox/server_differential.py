"""Sequences of operations for the sandbox and DynamoDB Local, and what of their answers must be the same.

Known differences, in which the sandbox follows the real service, and how they are kept out:

- Wording: only types of errors and codes of batch members are compared.
- DynamoDB Local does not check the types of index keys in UpdateItem and returns items in another order of attributes
  and, in a Scan, of hash keys: index keys are always written as strings, and Scans are compared as sets.
- DynamoDB Local charges neither partitions that a Scan touches, nor PartiQL, nor what an LSI fetches from its table,
  nor absent items of BatchGetItem: ConsumedCapacity is compared for writes of one item, GetItem and Query of the table.
- DynamoDB Local leaves numbers in lists and maps as they were written: here they are canonical from the start.
- DynamoDB Local carries out a part of a batch of PartiQL writes that it then refuses for naming an item twice: such
  batches are left out.
- DynamoDB Local calls DuplicateItemException (API Reference) DuplicateItem.
- DynamoDB Local looks at the condition of an update of a key attribute, which cannot be made, before it says so: such
  updates have no condition.
- DynamoDB Local creates an item for an UpdateItem that only takes away: such updates need an item here.
- DynamoDB Local reports twice the units of a transaction, and refuses it with a ValidationException instead of
  cancelling it where an update does not fit its item: transactions ask for no units and have updates that always fit.
- DynamoDB Local, asked for a transaction that names an item twice, sometimes never answers again: none does.
- DynamoDB Local cancels an INSERT of what is there with ValidationError instead of DuplicateItem.
- DynamoDB Local has one shard: records are compared in their order for each item.
"""

import http.client
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from hypothesis import strategies as st

from tests.sandbox.server_support import AUTHORIZATION, index, schema, with_types

Step = tuple[str, dict[str, Any]]

TABLE: dict[str, Any] = {
    **with_types(schema(pk="S", sk="N"), day="S"),
    "BillingMode": "PAY_PER_REQUEST",
    "GlobalSecondaryIndexes": [
        index("by-day", "day", "sk", projection="INCLUDE", include=("note",)),
        index("whole", "day"),
    ],
    "LocalSecondaryIndexes": [index("local", "pk", "day", projection="KEYS_ONLY")],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}


class Side:
    """One of the two, spoken to in plain JSON, with a table of its own and a place in its stream."""

    def __init__(self, url: str, table: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        self._arn = self("CreateTable", **TABLE, TableName=table)["TableDescription"]["LatestStreamArn"]
        self._iterators: dict[str, str] = {}

    def __call__(self, operation: str, **request: Any) -> Any:
        """The response, or ("error", type)."""
        streams = operation in ("DescribeStream", "GetShardIterator", "GetRecords")
        target = f"DynamoDB{'Streams' if streams else ''}_20120810.{operation}"
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": AUTHORIZATION,
            "X-Amz-Target": target,
        }
        self._connection.request("POST", "/", json.dumps(request), headers)
        response = self._connection.getresponse()
        content = json.loads(response.read())
        if response.status == 200:
            return content
        error = content["__type"].rpartition("#")[2]
        reasons = content.get("CancellationReasons")
        if reasons is not None:
            codes = [{"DuplicateItem": "ValidationError"}.get(one["Code"], one["Code"]) for one in reasons]
            items = [plain(one.get("Item")) for one in reasons]
            return "error", error, codes, items if operation == "TransactWriteItems" else None
        return "error", {"DuplicateItem": "DuplicateItemException"}.get(error, error)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def pages(self, operation: str, request: dict[str, Any]) -> list[dict[str, Any]] | tuple[str, str]:
        """All pages of a Query or Scan, or the error of the first."""
        pages: list[dict[str, Any]] = []
        request = dict(request)
        while True:
            page = self(operation, **request)
            if isinstance(page, tuple):
                return page
            pages.append(page)
            if "LastEvaluatedKey" not in page:
                return pages
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def new_records(self, run: str) -> dict[str, list[Any]]:
        """Records of a sequence since the last call, by item: names, images and sizes."""
        shards = self("DescribeStream", StreamArn=self._arn)["StreamDescription"]["Shards"]
        found: dict[str, list[Any]] = defaultdict(list)
        for shard in shards:
            name = shard["ShardId"]
            if name not in self._iterators:
                start = {"ShardId": name, "ShardIteratorType": "TRIM_HORIZON"}
                self._iterators[name] = self("GetShardIterator", StreamArn=self._arn, **start)[
                    "ShardIterator"
                ]
            while True:
                page = self("GetRecords", ShardIterator=self._iterators[name])
                self._iterators[name] = page["NextShardIterator"]
                for record in page["Records"]:
                    change = record["dynamodb"]
                    images = plain(change.get("OldImage")), plain(change.get("NewImage"))
                    if change["Keys"]["pk"]["S"].startswith(run):
                        key = json.dumps(change["Keys"], sort_keys=True)
                        found[key].append((record["eventName"], *images, change["SizeBytes"]))
                if not page["Records"]:
                    break
        return dict(found)


def plain(value: Any) -> Any:
    """JSON in a form that compares: sets sorted, order of members forgotten."""
    if isinstance(value, dict):
        return {
            name: sorted(member) if name in ("SS", "NS", "BS") and isinstance(member, list) else plain(member)
            for name, member in value.items()
        }
    return [plain(member) for member in value] if isinstance(value, list) else value


def outcome(side: Side, step: Step) -> Any:
    """What of an answer must be the same on both sides."""
    operation, request = step
    if operation in ("Query", "Scan"):
        pages = side.pages(operation, request)
        return pages if isinstance(pages, tuple) else _read_outcome(operation, request, pages)
    answer = side(operation, **request)
    if isinstance(answer, tuple):
        return answer
    if operation == "BatchExecuteStatement":
        return [
            (member.get("Error", {}).get("Code"), plain(member.get("Item"))) for member in answer["Responses"]
        ]
    if operation == "BatchGetItem":
        return sorted(
            json.dumps(plain(item), sort_keys=True) for item in answer["Responses"][request_table(request)]
        )
    return plain(answer)


def request_table(request: dict[str, Any]) -> str:
    """The table of a BatchGetItem or BatchWriteItem."""
    return next(iter(request["RequestItems"]))


def _read_outcome(operation: str, request: dict[str, Any], pages: list[dict[str, Any]]) -> Any:
    items = [plain(item) for page in pages for item in page.get("Items", ())]
    if operation == "Scan" or "IndexName" in request:
        # Entries of equal index keys are in no particular order, and those of other sequences are read too.
        return sorted(json.dumps(item, sort_keys=True) for item in items)
    counts = [(page["Count"], page["ScannedCount"], page.get("LastEvaluatedKey")) for page in pages]
    return items, counts


# Strategies. Keys are few, so that steps meet; every sequence has hash keys of its own.

hash_keys = st.sampled_from(["a", "b"])
range_keys = st.integers(0, 4).map(str)
scalar = st.sampled_from(
    [{"N": "1"}, {"N": "-2.5"}, {"S": ""}, {"S": "x"}, {"B": "AAE="}, {"BOOL": True}, {"NULL": True}]
)
value = st.one_of(
    scalar,
    st.builds(lambda members: {"L": members}, st.lists(scalar, max_size=2)),
    st.builds(
        lambda members: {"M": members}, st.dictionaries(st.sampled_from(["a", "b"]), scalar, max_size=2)
    ),
    st.builds(lambda m: {"NS": m}, st.lists(st.integers(0, 3).map(str), min_size=1, max_size=3, unique=True)),
)
days = st.sampled_from([{"S": "monday"}, {"S": "tuesday"}])
CONDITIONS = [
    "attribute_exists(pk)",
    "attribute_not_exists(pk)",
    "v = :v",
    "v <> :v OR note = :v",
    "attribute_type(v, :t)",
    "size(v) > :n",
    "contains(v, :v)",
    "sk BETWEEN :n AND :m",
    "NOT v IN (:v, :n)",
    "v.a = :v",
]
UPDATES = [
    "SET v = :v",
    "SET v = :v, n = if_not_exists(n, :n)",
    "SET n = n + :n",
    "ADD n :n",
    "ADD v :s",
    "DELETE v :s",
    "REMOVE v",
    "REMOVE v, #d SET n = :n",
    "SET #d = :d",
    "SET v.a = :v",
    "SET v[0] = :v",
    "SET l = list_append(if_not_exists(l, :l), :l)",
    "SET pk = :v",
    "SET n = v",
]
VALUES: dict[str, Any] = {
    ":n": {"N": "1"},
    ":m": {"N": "3"},
    ":t": {"S": "N"},
    ":s": {"NS": ["1", "7"]},
    ":l": {"L": [{"N": "1"}]},
    ":d": {"S": "tuesday"},
}


def placeholders(*expressions: str | None, v: Any) -> dict[str, Any]:
    """The names and values that some expressions use."""
    text = " ".join(filter(None, expressions))
    values = {name: {**VALUES, ":v": v}[name] for name in re.findall(r":\w+", text)}
    found: dict[str, Any] = {"ExpressionAttributeValues": values} if values else {}
    if "#d" in text:
        found["ExpressionAttributeNames"] = {"#d": "day"}
    return found


def _place(action: dict[str, Any]) -> str:
    """The item that an action of a transaction is for."""
    (content,) = action.values()
    key = content.get("Key") or content["Item"]
    return json.dumps([key["pk"], key["sk"]])


class Sequence:
    """Strategies of one table and one sequence of steps."""

    def __init__(self, table: str, run: str) -> None:
        self.table = table
        self.run = run

    @property
    def keys(self) -> st.SearchStrategy[dict[str, Any]]:
        return st.builds(lambda h, r: {"pk": {"S": self.run + h}, "sk": {"N": r}}, hash_keys, range_keys)

    @property
    def items(self) -> st.SearchStrategy[dict[str, Any]]:
        extra = st.fixed_dictionaries(
            {}, optional={"v": value, "day": days, "note": scalar, "n": st.just({"N": "5"})}
        )
        return st.builds(lambda key, more: {**key, **more}, self.keys, extra)

    @property
    def steps(self) -> st.SearchStrategy[list[Step]]:
        kinds = [
            self._put,
            self._update,
            self._delete,
            self._get,
            self._query,
            self._scan,
            self._batches,
            self._sql,
            self._transactions,
            self._transacted_sql,
        ]
        return st.lists(st.one_of([kind() for kind in kinds]), min_size=1, max_size=12)

    def _one(self, operation: str, **members: Any) -> Step:
        return operation, {"TableName": self.table, **members}

    def _put(self) -> st.SearchStrategy[Step]:
        def put(item: dict[str, Any], condition: str | None, v: Any, returned: str) -> Step:
            members = {"ConditionExpression": condition, **placeholders(condition, v=v)} if condition else {}
            units = {"ReturnConsumedCapacity": "INDEXES"}
            return self._one("PutItem", Item=item, ReturnValues=returned, **units, **members)

        conditions = st.none() | st.sampled_from(CONDITIONS)
        return st.builds(put, self.items, conditions, value, st.sampled_from(["NONE", "ALL_OLD"]))

    def _update(self) -> st.SearchStrategy[Step]:
        def update(key: Any, text: str, condition: str | None, v: Any, returned: str) -> Step:
            if text == "SET pk = :v":
                condition = None
            elif text in ("REMOVE v", "DELETE v :s"):
                condition = "attribute_exists(pk)"
            members = {"ConditionExpression": condition} if condition else {}
            members |= placeholders(text, condition, v=v)
            members |= {"ReturnValues": returned, "ReturnConsumedCapacity": "INDEXES"}
            return self._one("UpdateItem", Key=key, UpdateExpression=text, **members)

        wanted = st.sampled_from(["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
        conditions = st.none() | st.sampled_from(CONDITIONS)
        return st.builds(update, self.keys, st.sampled_from(UPDATES), conditions, value, wanted)

    def _delete(self) -> st.SearchStrategy[Step]:
        def delete(key: Any, condition: str | None, v: Any) -> Step:
            members = {"ConditionExpression": condition, **placeholders(condition, v=v)} if condition else {}
            units = {"ReturnConsumedCapacity": "INDEXES"}
            return self._one("DeleteItem", Key=key, ReturnValues="ALL_OLD", **units, **members)

        return st.builds(delete, self.keys, st.none() | st.sampled_from(CONDITIONS), value)

    def _get(self) -> st.SearchStrategy[Step]:
        def get(key: Any, projection: str | None, *, consistent: bool) -> Step:
            members = {} if projection is None else {"ProjectionExpression": projection}
            units = {"ReturnConsumedCapacity": "TOTAL"}
            return self._one("GetItem", Key=key, ConsistentRead=consistent, **units, **members)

        projections = st.sampled_from([None, "v", "sk, note", "v.a, v.b", "v[0]", "v, v.a"])
        return st.builds(get, self.keys, projections, consistent=st.booleans())

    def _query(self) -> st.SearchStrategy[Step]:
        def query(
            where: tuple[str | None, str], limit: int | None, filtered: str | None, v: Any, *, forward: bool
        ) -> Step:
            name, condition = where
            values = {":p": {"S": f"{self.run}a"}, **VALUES, ":v": v}
            request: dict[str, Any] = {"KeyConditionExpression": condition, "ScanIndexForward": forward}
            if name is not None:
                request["IndexName"] = name
            # A global index holds the items of all sequences: only those of this one are looked at.
            tests = [filtered] if filtered else []
            if name in ("by-day", "whole"):
                tests.append("begins_with(pk, :run)")
                values[":run"] = {"S": self.run}
            if tests:
                request["FilterExpression"] = " AND ".join(tests)
            if limit is not None and name is None:
                request["Limit"] = limit
            text = " ".join([condition, *tests])
            used = re.findall(r":\w+", text)
            request["ExpressionAttributeValues"] = {name: values[name] for name in used}
            if "#d" in text:
                request["ExpressionAttributeNames"] = {"#d": "day"}
            return self._one("Query", **request)

        wheres = st.sampled_from(
            [
                (None, "pk = :p"),
                (None, "pk = :p AND sk > :n"),
                (None, "pk = :p AND sk BETWEEN :n AND :m"),
                (None, "pk = :p AND sk <= :m"),
                ("local", "pk = :p"),
                ("local", "pk = :p AND begins_with(#d, :d)"),
                ("by-day", "#d = :d AND sk >= :n"),
                ("whole", "#d = :d"),
                (None, "sk = :n"),
                (None, "pk = :p AND v = :v"),
                ("by-day", "pk = :p"),
            ]
        )
        filters = st.none() | st.sampled_from(["note = :v", "attribute_exists(note)", "sk > :n"])
        limits = st.none() | st.integers(1, 3)
        return st.builds(query, wheres, limits, filters, value, forward=st.booleans())

    def _scan(self) -> st.SearchStrategy[Step]:
        def scan(name: str | None, segments: int, projection: str | None) -> Step:
            request: dict[str, Any] = {"FilterExpression": "begins_with(pk, :run)"}
            request["ExpressionAttributeValues"] = {":run": {"S": self.run}}
            if name is not None:
                request["IndexName"] = name
            if projection is not None:
                request["ProjectionExpression"] = projection
            if segments == 1:
                request |= {"Segment": 0, "TotalSegments": 1}
            return self._one("Scan", **request)

        indexes = st.sampled_from([None, "local", "by-day", "whole", "none"])
        return st.builds(scan, indexes, st.integers(0, 1), st.sampled_from([None, "pk, sk", "note", "v.a"]))

    def _batches(self) -> st.SearchStrategy[Step]:
        def write(items: list[Any], keys: list[Any]) -> Step:
            members = [{"PutRequest": {"Item": item}} for item in items]
            members += [{"DeleteRequest": {"Key": key}} for key in keys]
            return "BatchWriteItem", {"RequestItems": {self.table: members}}

        def get(keys: list[Any]) -> Step:
            return "BatchGetItem", {"RequestItems": {self.table: {"Keys": keys}}}

        lists = st.lists(self.keys, min_size=1, max_size=3)
        writes = st.builds(write, st.lists(self.items, max_size=3), lists)
        return st.one_of(writes, st.builds(get, lists))

    def _transactions(self) -> st.SearchStrategy[Step]:
        def action(kind: str, item: Any, text: str, condition: str | None, v: Any) -> Any:
            key = {name: item[name] for name in ("pk", "sk")}
            if kind == "ConditionCheck":
                condition = condition or "attribute_exists(pk)"
            content: dict[str, Any] = {
                "TableName": self.table,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
            content |= {"Item": item} if kind == "Put" else {"Key": key}
            content |= {"UpdateExpression": text} if kind == "Update" else {}
            content |= {"ConditionExpression": condition} if condition else {}
            return {kind: {**content, **placeholders(text if kind == "Update" else None, condition, v=v)}}

        kinds = st.sampled_from(["Put", "Update", "Delete", "ConditionCheck"])
        updates = st.sampled_from(["SET v = :v", "SET #d = :d", "SET v = :v, n = if_not_exists(n, :n)"])
        conditions = st.none() | st.sampled_from(CONDITIONS)
        writes = st.lists(
            st.builds(action, kinds, self.items, updates, conditions, value),
            min_size=1,
            max_size=4,
            unique_by=_place,
        )
        gets = self.keys.map(lambda key: {"Get": {"TableName": self.table, "Key": key}})
        reads = st.lists(gets, min_size=1, max_size=4, unique_by=_place)
        return writes.map(lambda many: ("TransactWriteItems", {"TransactItems": many})) | reads.map(
            lambda many: ("TransactGetItems", {"TransactItems": many})
        )

    def _transacted_sql(self) -> st.SearchStrategy[Step]:
        texts = st.sampled_from(
            [
                "UPDATE {t} SET n = 1 WHERE pk = ? AND sk = ?",
                "UPDATE {t} REMOVE v WHERE pk = ? AND sk = ? AND n IS MISSING",
                "DELETE FROM {t} WHERE pk = ? AND sk = ?",
                "DELETE FROM {t} WHERE pk = ? AND sk = ? AND n = 1",
                "INSERT INTO {t} VALUE {{'pk': ?, 'sk': ?, 'note': 'n'}}",
                "EXISTS(SELECT * FROM {t} WHERE pk = ? AND sk = ? AND n = 1)",
                "EXISTS(SELECT * FROM {t} WHERE pk = ? AND sk = ?)",
            ]
        )
        selects = st.sampled_from(
            [
                "SELECT * FROM {t} WHERE pk = ? AND sk = ?",
                "SELECT note, n FROM {t} WHERE pk = ? AND sk = ? AND n > 0",
                "DELETE FROM {t} WHERE pk = ? AND sk = ?",
            ]
        )

        def member(text: str, key: Any) -> dict[str, Any]:
            return {"Statement": text.format(t=f'"{self.table}"'), "Parameters": list(key.values())}

        unique = {"unique_by": lambda one: tuple(map(str, one["Parameters"]))}
        writes = st.lists(st.builds(member, texts, self.keys), min_size=1, max_size=4, **unique)
        reads = st.lists(st.builds(member, selects, self.keys), min_size=1, max_size=3, **unique)
        return (writes | reads).map(lambda many: ("ExecuteTransaction", {"TransactStatements": many}))

    def _sql(self) -> st.SearchStrategy[Step]:
        texts = st.sampled_from(
            [
                "UPDATE {t} SET n = 1 WHERE pk = ? AND sk = ?",
                "UPDATE {t} SET n = n + 1 WHERE pk = ? AND sk = ? AND n = 5",
                "UPDATE {t} SET n = 9 WHERE pk = ? AND sk = ? AND n IS MISSING RETURNING ALL NEW *",
                "UPDATE {t} REMOVE v WHERE pk = ? AND sk = ? RETURNING MODIFIED OLD *",
                "DELETE FROM {t} WHERE pk = ? AND sk = ? RETURNING ALL OLD *",
                "DELETE FROM {t} WHERE pk = ? AND sk = ? AND n = 1",
                "INSERT INTO {t} VALUE {{'pk': ?, 'sk': ?, 'note': 'n'}}",
                "UPDATE {t} SET n = 1 WHERE pk = ? AND n = ?",
            ]
        )
        selects = st.sampled_from(
            [
                "SELECT * FROM {t} WHERE pk = ? AND sk = ?",
                "SELECT note, n FROM {t} WHERE pk = ? AND sk = ?",
                "SELECT sk FROM {t} WHERE pk = ? AND sk = ? AND n > 0",
            ]
        )

        def member(text: str, key: Any) -> dict[str, Any]:
            return {"Statement": text.format(t=f'"{self.table}"'), "Parameters": list(key.values())}

        members = st.builds(member, texts, self.keys)
        reads = st.builds(member, selects, self.keys)
        unique = {"unique_by": lambda one: tuple(map(str, one["Parameters"]))}
        batch = st.lists(members, min_size=1, max_size=4, **unique) | st.lists(reads, min_size=1, max_size=3)
        single = (members | reads).map(lambda one: ("ExecuteStatement", one))
        return single | batch.map(lambda many: ("BatchExecuteStatement", {"Statements": many}))


def everything(side: Side, table: str, run: str) -> Iterator[Any]:
    """All items of a sequence, by Query of its hash keys."""
    for name in ("a", "b"):
        request = {
            "TableName": table,
            "KeyConditionExpression": "pk = :p",
            "ExpressionAttributeValues": {":p": {"S": run + name}},
        }
        for page in side.pages("Query", request):
            yield [plain(item) for item in page["Items"]]
