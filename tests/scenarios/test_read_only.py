"""In a container whose root is read-only, without `/tmp` and HOME, what needs no disk works."""

import sys
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.support.backends import on_one_backend
from tests.support.cli import Cli
from tests.support.judge import Snapshot
from tests.support.rows import hash_rows
from tests.support.tables import Table

PROGRAM = (sys.executable, "-m", "tests.support.read_only")
NOWHERE = {"HOME": None, "XDG_STATE_HOME": None, "TMPDIR": "/nonexistent"}


@pytest.fixture
def contained(cli: Cli) -> Iterator[Cli]:
    """The program there; its output goes to files that this test opened."""
    program = Cli(cli.home, cli.endpoint_url, cli.access_key, program=PROGRAM)
    yield program
    program.close()


@on_one_backend
def test_what_needs_no_disk_works_where_none_can_be_written(
    contained: Cli, make_table: Callable[..., Table]
) -> None:
    """Each command ends as it does elsewhere. Only a run with its checkpoint in a file is refused: in one line,
    with the reason, before it writes anything to the table."""
    table = make_table()
    table.fill(hash_rows(30))
    before = Snapshot.of(table)
    for arguments in (
        ("check", "--table", table.name),
        ("plan", "--table", table.name),
        ("run", "--table", table.name, "--dry-run"),
        ("iam-policy", "--table", table.name, "--account", "123456789012"),
    ):
        result = contained.run(*arguments, env=NOWHERE)
        assert result.code == 0, (arguments, result.stderr)
        assert result.error_lines == [], arguments
    refused = contained.run("run", "--table", table.name, "--yes", env=NOWHERE)
    assert refused.code == 2
    (line,) = refused.error_lines
    assert "HOME is not set" in line
    refused = contained.run("run", "--table", table.name, "--yes", "--checkpoint", "x.refire", env=NOWHERE)
    assert refused.code == 11, refused.stderr
    (line,) = refused.error_lines
    assert "Read-only file system" in line
    before.assert_untouched()


@on_one_backend
def test_a_run_with_a_checkpoint_table_needs_no_disk(
    cli: Cli, contained: Cli, make_table: Callable[..., Table]
) -> None:
    """It touches every item once, and a second start says so; with an item that fails, only the list is not written."""
    store = f"refire-{uuid.uuid4().hex[:8]}"
    assert cli.run("checkpoint-table", "create", store).code == 0
    table = make_table()
    table.fill(hash_rows(40))
    before = Snapshot.of(table)
    words = ("run", "--table", table.name, "--checkpoint", f"dynamodb://{store}/x", "--yes", "--json")
    for _ in range(2):
        result = contained.run(*words, env=NOWHERE)
        assert result.code == 0, result.stderr
        assert (result.json["status"], result.json["touched"]) == ("complete", 40)
        assert result.error_lines == []
    before.assert_fired()
