"""A second run of the same table needs a confirmation while the first one is running or unfinished."""

from pathlib import Path
from typing import Any

import pytest

from refire_async.checkpoint import catalog
from refire_async.checkpoint.lock import locked
from refire_async.engine import run as engine
from refire_async.errors import ExitCode, RefusedError, UsageError
from refire_async.events import Noticed
from refire_async.model.other_run import OtherRun, OtherRuns
from refire_async.model.selection import Selection
from refire_async.model.stop import StopRequest
from refire_async.planning.forecast.outlook import Outlook
from refire_async.settings import RunSettings, SelectionSettings
from tests.engine.conftest import Runs, Service
from tests.support.inprocess_server import WRITES, InProcess, table_spec


async def half_done(service: Service, runs: Runs, **settings: Any) -> InProcess:
    """A table with 30 items, of which a run in the state folder has touched 10."""
    db = service(table_spec(), table_spec("another"))
    db.fill("orders", [{"pk": {"S": str(n)}} for n in range(30)])
    result = await runs.run(max_items=10, run_id="first", checkpoint=None, **settings)
    assert result.exit_code is ExitCode.STOPPED
    db.calls.clear()
    return db


def found(runs: Runs) -> list[str]:
    return [event.finding.id for event in runs.of(Noticed)]


class Asked:
    """Records the questions, and gives the same answer each time."""

    def __init__(self, *, answer: bool) -> None:
        self.answer = answer
        self.questions: list[object] = []

    async def __call__(self, about: object) -> bool:
        self.questions.append(about)
        return self.answer


@pytest.mark.parametrize("working", [False, True])
async def test_without_a_way_to_ask_the_run_is_refused(
    service: Service, runs: Runs, *, working: bool
) -> None:
    """Nothing is written; the error says how to resume the other run, or how to continue anyway."""
    db = await half_done(service, runs)
    kind = "other-run-working" if working else "other-run-stopped"
    lock = locked(catalog.path_of("first"))
    if working:
        with lock:
            _set_running(catalog.path_of("first"))
            with pytest.raises(UsageError) as caught:
                await runs.run(run_id="second")
    else:
        with pytest.raises(UsageError, match="stopped after 10 items") as caught:
            await runs.run(run_id="second")
        assert "refire resume first" in str(caught.value)
        assert "refire forget first" in str(caught.value)
    assert "run first of table orders" in str(caught.value)
    assert f"--yes or --ignore {kind}" in str(caught.value)
    assert found(runs) == [kind]
    assert not any(db.calls[operation] for operation in WRITES)
    assert not runs.checkpoint.exists()


def _set_running(path: Path) -> None:
    from refire_async.checkpoint.store import Store

    store = Store.open(path)
    with store.transaction():
        store.save_status("running")
    store.close()


@pytest.mark.parametrize(
    "settings", [{"assume_yes": True}, {"ignore": frozenset(("other-run-stopped",))}, {"dry_run": True}]
)
async def test_no_question_is_asked_with_the_answer_in_the_options(
    service: Service, runs: Runs, settings: dict[str, Any]
) -> None:
    """The finding is still reported. A dry run writes nothing, so it asks nothing."""
    await half_done(service, runs)
    result = await runs.run(run_id="second", **settings)
    assert result.exit_code is ExitCode.COMPLETE
    assert found(runs) == ["other-run-stopped"]


@pytest.mark.parametrize("answer", [False, True])
async def test_the_answer_decides(service: Service, runs: Runs, *, answer: bool) -> None:
    db = await half_done(service, runs)
    ask = Asked(answer=answer)
    settings = RunSettings(table="orders", run_id="second", checkpoint=runs.checkpoint)
    if answer:
        result = await engine.run(settings, emit=runs.events.append, stop=StopRequest(), confirm=ask)
        assert result.exit_code is ExitCode.COMPLETE
    else:
        with pytest.raises(RefusedError, match="not confirmed; nothing was written"):
            await engine.run(settings, emit=runs.events.append, stop=StopRequest(), confirm=ask)
        assert not any(db.calls[operation] for operation in WRITES)
    question, *later = ask.questions
    assert isinstance(question, OtherRuns)
    assert [type(one) for one in later] == ([Outlook] if answer else [])
    assert [one.id for one in question.findings] == ["other-run-stopped"]


async def test_a_table_is_identified_by_its_table_id(service: Service, runs: Runs) -> None:
    """With its name or its ARN; a recreated table of the same name is another one."""
    db = await half_done(service, runs)
    arn = db("DescribeTable", TableName="orders")["Table"]["TableArn"]
    with pytest.raises(UsageError, match="run first of table"):
        await runs.run(table=arn, run_id="second")
    db.fill("another", [{"pk": {"S": "a"}}])
    assert (await runs.run(table="another", run_id="third")).exit_code is ExitCode.COMPLETE
    assert found(runs) == []
    db("DeleteTable", TableName="orders")
    db("CreateTable", **table_spec())
    runs.checkpoint.unlink()
    assert (await runs.run(run_id="second")).exit_code is ExitCode.COMPLETE
    assert found(runs) == ["nothing-matched"]  # the new table is empty


async def test_a_run_does_not_conflict_with_itself(service: Service, runs: Runs) -> None:
    """Run again or resumed, it is the same run; a complete one does not count."""
    await half_done(service, runs)
    path = catalog.path_of("first")
    assert (await runs.run(run_id="first", checkpoint=None, max_items=5)).exit_code is ExitCode.STOPPED
    assert found(runs) == []
    assert (await runs.resume(checkpoint=path)).exit_code is ExitCode.COMPLETE
    assert found(runs) == []
    assert (await runs.run(run_id="second")).exit_code is ExitCode.COMPLETE
    assert found(runs) == []


async def test_a_resume_asks_only_about_a_running_run(service: Service, runs: Runs) -> None:
    """Of two stopped runs the user has chosen one."""
    db = await half_done(service, runs)
    assert (await runs.run(run_id="second", max_items=10, assume_yes=True)).exit_code is ExitCode.STOPPED
    with locked(catalog.path_of("first")):
        _set_running(catalog.path_of("first"))
        db.calls.clear()
        with pytest.raises(UsageError, match="run first of table orders is in progress"):
            await runs.resume()
        assert not any(db.calls[operation] for operation in WRITES)
    assert (await runs.resume()).exit_code is ExitCode.COMPLETE
    assert found(runs) == ["other-run-stopped"]


async def test_selections_of_different_hash_keys_share_no_item(service: Service, runs: Runs) -> None:
    await half_done(service, runs, selection=SelectionSettings(key_values=tuple(map(str, range(20)))))
    assert (
        await runs.run(run_id="second", selection=SelectionSettings(key_values=("25",)))
    ).exit_code is ExitCode.COMPLETE
    assert found(runs) == []


async def test_check_reports_other_runs(service: Service, runs: Runs) -> None:
    """Without a question."""
    await half_done(service, runs)
    levels = {finding.id: finding.level for finding in await engine.check(RunSettings(table="orders"))}
    assert levels["other-run-stopped"] == "warn"


@pytest.mark.parametrize(
    ("ours", "theirs", "meet"),
    [
        (Selection("scan"), Selection("scan"), True),
        (Selection("scan"), Selection("query", key_values=({"S": "a"},)), True),
        (Selection("query", key_values=({"S": "a"},)), Selection("query", key_values=({"S": "b"},)), False),
        (Selection("query", key_values=({"S": "a"},)), Selection("query", key_values=({"S": "a"},)), True),
        (
            Selection("query", index="i", key_values=({"S": "a"},)),
            Selection("query", key_values=({"S": "b"},)),
            True,
        ),
        (Selection("keys", keys_file="a"), Selection("keys", keys_file="b"), True),
    ],
)
def test_selections_that_may_overlap(ours: Selection, theirs: Selection, *, meet: bool) -> None:
    assert OtherRun("r", working=False, touched=1, selection=theirs).may_overlap(ours) == meet
