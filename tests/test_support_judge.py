"""The judge and the proxy of the scenarios: they accept right results and reject wrong ones."""

import http.client
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.backends import Backend, connected
from tests.support.judge import SUMMARY_FIELDS, Snapshot, assert_summary, counted_up, stamped
from tests.support.proxy import Hold, Reply, proxy_before
from tests.support.rows import EVERY_TYPE, hash_rows
from tests.support.tables import Item, Table
from tests.support.writers import LiveWriters


def update(table: Table, item: Item, expression: str, **values: dict[str, Any]) -> None:
    """One UpdateItem, placeholders by name."""
    extra = (
        {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}
    )
    table.backend.dynamodb.update_item(
        TableName=table.name, Key=table.key(item), UpdateExpression=expression, **extra
    )


class TestSnapshot:
    """`assert_fired` accepts exactly one kind of change."""

    @pytest.fixture
    def table(self, make_table: Callable[..., Table]) -> Table:
        """Three items, one with every type, one with a revision of 7."""
        table = make_table()
        first, *rest = hash_rows(3)
        table.fill([{**first, **EVERY_TYPE}, {**rest[0], "revision": {"N": "7"}}, rest[1]])
        return table

    def touch_all(self, table: Table) -> None:
        """The changes of a correct run."""
        for item in hash_rows(3):
            update(table, item, "ADD revision :one", one={"N": "1"})

    def test_right_run(self, table: Table) -> None:
        """Every item incremented once, then once more."""
        before = Snapshot.of(table)
        before.assert_untouched()
        self.touch_all(table)
        before.assert_fired()
        self.touch_all(table)
        before.assert_fired(times=2)

    def test_right_stamp(self, table: Table) -> None:
        """Every item stamped."""
        before = Snapshot.of(table)
        for item in hash_rows(3):
            update(table, item, "SET mark = :run", run={"S": "r"})
        before.assert_fired(marker="mark", touch=stamped("r"))

    def test_some_fired(self, table: Table) -> None:
        """Only the chosen items fired."""
        before = Snapshot.of(table)
        update(table, hash_rows(3)[1], "ADD revision :one", one={"N": "1"})
        before.assert_fired(before.select(lambda item: "revision" in item))

    def wrong(self, table: Table, expression: str, **values: dict[str, Any]) -> str:
        """The judge's error if all were touched and one then changed by this expression."""
        before = Snapshot.of(table)
        self.touch_all(table)
        update(table, hash_rows(3)[2], expression, **values)
        with pytest.raises(AssertionError) as caught:
            before.assert_fired()
        return str(caught.value)

    def test_fired_twice(self, table: Table) -> None:
        """Two records for one item."""
        assert "1 different" in self.wrong(table, "ADD revision :one", one={"N": "1"})

    def test_fired_twice_and_hidden(self, table: Table) -> None:
        """Incremented and decremented: the item looks right, the stream does not."""
        before = Snapshot.of(table)
        self.touch_all(table)
        for step in ("1", "-1"):
            update(table, hash_rows(3)[2], "ADD revision :step", step={"N": step})
        with pytest.raises(AssertionError, match="1 different"):
            before.assert_fired()

    def test_item_that_did_not_fire(self, table: Table) -> None:
        """An item without a record."""
        before = Snapshot.of(table)
        with pytest.raises(AssertionError, match="3 missing"):
            before.assert_fired()

    def test_other_attribute_changed(self, table: Table) -> None:
        """One record, but it changed another attribute as well."""
        before = Snapshot.of(table)
        for item in hash_rows(3):
            update(table, item, "SET payload = :x ADD revision :one", one={"N": "1"}, x={"S": "other"})
        with pytest.raises(AssertionError, match="payload"):
            before.assert_fired()

    def test_item_created(self, table: Table) -> None:
        """An item that did not exist before."""
        before = Snapshot.of(table)
        self.touch_all(table)
        table.fill([{"pk": {"S": "new"}}])
        with pytest.raises(AssertionError, match="1 too many"):
            before.assert_fired()

    def test_wrong_count(self, table: Table) -> None:
        """One record, but the revision is not the next one."""
        before = Snapshot.of(table)
        for item in hash_rows(3):
            update(table, item, "SET revision = :n", n={"N": "99"})
        with pytest.raises(AssertionError, match="3 different"):
            before.assert_fired()

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (None, "1"),
            ("7", "8"),
            ("-1", "0"),
            ("1.5", "2.5"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345679"),
        ],
    )
    def test_counting(self, old: str | None, new: str) -> None:
        """The revision after a touch."""
        assert counted_up(old and {"N": old}) == {"N": new}


class TestSummary:
    """`assert_summary` checks the documented fields, the sums, and the given values."""

    RIGHT: dict[str, Any] = dict.fromkeys(SUMMARY_FIELDS, 0) | {"scanned": 5, "touched": 3, "failed": 2}

    def test_right(self) -> None:
        """Fields in order, sums right."""
        assert_summary(self.RIGHT, touched=3)

    @pytest.mark.parametrize(
        "change",
        [{"scanned": 6}, {"surplus": 1}, {"touched": 2, "already": 1}],
        ids=["sum", "field", "value"],
    )
    def test_wrong(self, change: dict[str, int]) -> None:
        """Each kind of wrong summary is an error."""
        with pytest.raises(AssertionError):
            assert_summary(self.RIGHT | change, touched=3)


class TestLiveWriters:
    """The application of the live-writer scenarios records correctly what it did."""

    def test_records_are_right(self, make_table: Callable[..., Table]) -> None:
        """Without other writers, the table is what the writers have recorded."""
        table = make_table()
        table.fill(hash_rows(60))
        writers = LiveWriters(table, hash_rows(60))
        with writers.writing(4):
            reader = table.stream()
            reader.wait_until(lambda: writers.writes > 200)
        after = table.items()
        assert len(after) + len(writers.deleted) == 60
        for identity, item in after.items():
            assert item.get("count", {"N": "0"}) == {"N": str(writers.increments[identity])}
            assert item.get("revision", {"N": "0"}) == {"N": str(writers.revisions[identity])}


class TestProxy:
    """The proxy forwards every call, unless a rule changes that."""

    @pytest.fixture
    def table(self, make_table: Callable[..., Table]) -> Table:
        """An empty table."""
        return make_table()

    def test_forwards_and_records(self, backend: Backend, table: Table) -> None:
        """Responses are the backend's, and every call is recorded with its number."""
        with (
            proxy_before(backend.url) as proxy,
            connected(backend.name, proxy.url, backend.access_key) as through,
        ):
            through.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "a"}})
            for _ in range(2):
                item = through.dynamodb.get_item(TableName=table.name, Key={"pk": {"S": "a"}})["Item"]
                assert item == {"pk": {"S": "a"}}
            with pytest.raises(backend.dynamodb.exceptions.ClientError, match="ResourceNotFoundException"):
                through.dynamodb.describe_table(TableName="no-such-table")
        assert [(call.operation, call.number) for call in proxy.calls[:3]] == [
            ("PutItem", 1),
            ("GetItem", 1),
            ("GetItem", 2),
        ]
        assert proxy.calls[0].body["Item"] == {"pk": {"S": "a"}}

    def test_responds_instead(self, backend: Backend, table: Table) -> None:
        """A denied call does not reach the backend."""
        with (
            proxy_before(backend.url) as proxy,
            connected(backend.name, proxy.url, backend.access_key) as through,
        ):
            proxy.instead = lambda _call: Reply.access_denied("PutItem")
            with pytest.raises(backend.dynamodb.exceptions.ClientError, match="not authorized to perform"):
                through.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "a"}})
        assert table.items() == {}

    def test_loses_a_response(self, backend: Backend, table: Table) -> None:
        """A write whose response is lost is applied, and its client sees the connection close."""
        body = f'{{"TableName": "{table.name}", "Item": {{"pk": {{"S": "a"}}}}}}'
        scope = f"{backend.access_key}/20260101/eu-west-1/dynamodb/aws4_request"
        signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        headers = {
            "x-amz-target": "DynamoDB_20120810.PutItem",
            "content-type": "application/x-amz-json-1.0",
            "authorization": signature,
            "x-amz-date": "20260101T000000Z",
        }
        with proxy_before(backend.url) as proxy:
            proxy.afterwards = lambda _call: Reply(None)
            connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=10)
            connection.request("POST", "/", body, headers)
            with pytest.raises(http.client.RemoteDisconnected):
                connection.getresponse()
            connection.close()
        assert len(table.items()) == 1

    def test_holds_one_call(self, backend: Backend, table: Table) -> None:
        """The held write is applied without a response until it is released; others pass meanwhile."""
        with (
            proxy_before(backend.url) as proxy,
            connected(backend.name, proxy.url, backend.access_key) as through,
            ThreadPoolExecutor(1) as pool,
        ):
            with Hold(lambda call: call.number == 1) as hold:
                proxy.afterwards = hold
                first = pool.submit(through.dynamodb.put_item, TableName=table.name, Item={"pk": {"S": "a"}})
                table.stream().wait_until(lambda: hold.reached)
                through.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "b"}})
                assert not first.done()
                assert len(table.items()) == 2
            assert first.result(timeout=10)

    def test_survives_a_client_that_ends(self, backend: Backend, table: Table) -> None:
        """A client that closes its connection early is no error here."""
        with proxy_before(backend.url) as proxy, Hold(lambda _call: True) as hold:
            proxy.instead = hold
            connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=10)
            connection.request("POST", "/", b"{}", {"x-amz-target": "DynamoDB_20120810.ListTables"})
            table.stream().wait_until(lambda: hold.reached)
            connection.close()
