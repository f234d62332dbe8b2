"""Selections without items: a run reports what it read and the price, and never that an item fired."""

from pathlib import Path
from typing import Any

import pytest

from refire_async.errors import ExitCode, UsageError
from refire_async.events import Noticed
from refire_async.output.summary import describe
from refire_async.settings import SelectionSettings
from tests.engine.conftest import Runs, Service
from tests.support.inprocess_server import InProcess, table_spec

BY_DAY = {
    "IndexName": "by-day",
    "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["total"]},
}
DEFINED = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "day")]


def shop(service: Service, count: int = 40) -> InProcess:
    db = service(table_spec(GlobalSecondaryIndexes=[BY_DAY], AttributeDefinitions=DEFINED))
    items = [{"pk": {"S": f"o-{n:03}"}, "day": {"S": "d1"}, "status": {"S": "OPEN"}} for n in range(count)]
    db.fill("orders", items)
    return db


def noticed(runs: Runs) -> list[str]:
    return [event.finding.id for event in runs.of(Noticed)]


@pytest.mark.parametrize(
    ("selection", "described"),
    [
        (
            {"filter": "#s = :v", "names": (("#s", "status"),), "values": ((":v", {"S": "NO"}),)},
            "all of the table, filtered",
        ),
        ({"key_values": ("none",)}, "pk = none of the table"),
        ({"index": "by-day", "key_values": ("d2",)}, "day = d2 of index by-day"),
        ({"sample": 1e-9}, "1e-09% of all of the table"),
    ],
)
@pytest.mark.parametrize("dry", [False, True])
async def test_a_selection_without_items_is_a_warning(
    service: Service, runs: Runs, selection: dict[str, Any], described: str, *, dry: bool
) -> None:
    """It names what was read, and the price."""
    db = shop(service)
    result = await runs.run(selection=SelectionSettings(**selection), dry_run=dry)
    assert result.exit_code is ExitCode.COMPLETE
    assert result.nothing is not None
    assert result.nothing.startswith(f"nothing matched: {described} was read for ")
    assert result.nothing.endswith("RCU and held no item to touch")
    assert noticed(runs) == ["nothing-matched"]
    text = describe(result, resume_with="x")
    assert result.nothing in text
    assert "fired" not in text
    assert not db.fired("orders")


async def test_a_list_without_an_existing_key(service: Service, runs: Runs, tmp_path: Path) -> None:
    """It is probably a list for another table."""
    shop(service)
    (tmp_path / "k").write_text("pk\nx\ny\n")
    result = await runs.run(selection=SelectionSettings(keys_file=str(tmp_path / "k")))
    assert result.nothing == "none of the 2 keys in the list is in the table; looking them up took 3.0 RCU"
    assert noticed(runs) == ["nothing-matched"]


async def test_a_selection_with_an_item_causes_no_warning(service: Service, runs: Runs) -> None:
    shop(service)
    result = await runs.run(selection=SelectionSettings(key_values=("o-001", "none")))
    assert (result.nothing, noticed(runs)) == (None, [])
    assert "each emitted a record" in describe(result, resume_with="x")


async def test_a_word_without_quotes_causes_a_warning_before_the_first_read(
    service: Service, runs: Runs
) -> None:
    shop(service)
    result = await runs.run(
        selection=SelectionSettings(filter="a = #o", names=(("#o", "OPEN"),), where_words=("OPEN",))
    )
    assert result.nothing is not None, result
    (finding, _) = [event.finding for event in runs.of(Noticed)]
    assert (finding.id, finding.level) == ("where-word", "warn")
    assert finding.action == "write 'OPEN' for text, \"OPEN\" in double quotes for the attribute"


@pytest.mark.parametrize(
    ("expression", "names", "missing"),
    [
        ("#s = :v", (("#s", "status"),), "status"),
        ("total > :v AND (day = :v OR NOT status.a[0] = :v)", (), "status"),
        ("attribute_not_exists(status)", (), "status"),
        ("size(#x.#y) > :v", (("#x", "other"), ("#y", "total")), "other"),
        ("total = :v AND begins_with(day, :v) AND pk IN (:v, #p.status)", (("#p", "pk"),), None),
    ],
)
async def test_a_filter_on_an_attribute_that_the_index_does_not_project_is_refused(
    service: Service, runs: Runs, expression: str, names: tuple[tuple[str, str], ...], missing: str | None
) -> None:
    """Before the first read, because servers differ: some return no items, others an error."""
    db = shop(service)
    selection = SelectionSettings(
        index="by-day", filter=expression, names=names, values=((":v", {"S": "x"}),)
    )
    if missing is None:
        await runs.run(selection=selection)
        return
    with pytest.raises(UsageError, match=f"index by-day does not project {missing}, .*leave out --index"):
        await runs.run(selection=selection)
    assert not db.calls["Scan"]
