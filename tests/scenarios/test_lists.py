"""Lists of keys and exports from files, pipes and S3. Each listed item fires once, and no other."""

import gzip
import json
import subprocess
from collections.abc import Callable

import pytest

from tests.support.backends import REGION, on_one_backend
from tests.support.cli import PROGRAM, Cli
from tests.support.exports import full_export
from tests.support.judge import Snapshot, assert_summary
from tests.support.moto import Moto, moto  # noqa: F401 - a fixture
from tests.support.rows import composite_rows, hash_rows
from tests.support.tables import Table

MakeTable = Callable[..., Table]


def half_of(table: Table) -> tuple[Snapshot, list[dict[str, dict[str, str]]]]:
    """A table of 300 items, and the keys of every second one."""
    rows = composite_rows(300)
    table.fill(rows)
    return Snapshot.of(table), [table.key(row) for row in rows[::2]]


def as_csv(keys: list[dict[str, dict[str, str]]]) -> bytes:
    lines = ["sk,comment,pk", *(f"{key['sk']['N']},x,{key['pk']['S']}" for key in keys)]
    return "\n".join(lines).encode()


def as_json(keys: list[dict[str, dict[str, str]]]) -> bytes:
    return "".join(json.dumps({"key": key}) + "\n" for key in keys).encode()


@pytest.mark.parametrize("form", [as_csv, as_json])
def test_a_compressed_file_of_keys(
    cli: Cli, make_table: MakeTable, form: Callable[[list[dict[str, dict[str, str]]]], bytes]
) -> None:
    """Gzip is detected from the content, not the name; a key that is listed twice fires once."""
    before, keys = half_of(table := make_table(("pk", "S"), ("sk", "N")))
    (cli.home / "keys").write_bytes(gzip.compress(form([*keys, *keys[:50]])))

    result = cli.refire(table.name, "--keys-file", "keys")

    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=150, touched=150)
    chosen = {json.dumps(key, sort_keys=True) for key in keys}
    before.assert_fired(before.select(lambda item: json.dumps(table.key(item), sort_keys=True) in chosen))


@on_one_backend
def test_keys_and_exports_in_s3(cli: Cli, make_table: MakeTable, moto: Moto) -> None:  # noqa: F811 - the fixture
    """`s3://` for both; a missing permission and a missing object, each in one line."""
    before, keys = half_of(table := make_table(("pk", "S"), ("sk", "N")))
    client = moto.client("s3")
    client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_object(Bucket="bucket", Key="a/keys.csv.gz", Body=gzip.compress(as_csv(keys)))
    description = table.backend.dynamodb.describe_table(TableName=table.name)["Table"]
    folder = full_export(description, composite_rows(300)).upload(client, "bucket")
    client.close()

    listed = ("run", "--table", table.name, "--json", "--keys-file")
    missing = cli.run(*listed, "s3://bucket/a/nothing", env=moto.environment)
    assert (missing.code, len(missing.error_lines)) == (2, 1), missing.stderr
    assert "s3://bucket/a/nothing does not exist" in missing.stderr
    result = cli.run(*listed, "s3://bucket/a/keys.csv.gz", env=moto.environment)
    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=150, touched=150)
    chosen = {json.dumps(key, sort_keys=True) for key in keys}
    before.assert_fired(before.select(lambda item: json.dumps(table.key(item), sort_keys=True) in chosen))

    exported = ("run", "--table", table.name, "--json", "--export", folder, "--run-id", "export")
    result = cli.run(*exported, env=moto.environment)
    assert result.code == 0, result.stderr
    # The export is older than the run above: half of its markers are outdated, and are looked up.
    assert_summary(result.json, scanned=300, touched=300, conflicts=150)


@on_one_backend
def test_keys_through_a_pipe(cli: Cli, make_table: MakeTable) -> None:
    """`-` is standard input, read once: a stopped run resumes with the keys that were read."""
    before, keys = half_of(table := make_table(("pk", "S"), ("sk", "N")))
    command = [
        "run",
        "--table",
        table.name,
        "--json",
        "--run-id",
        "piped",
        "--keys-file",
        "-",
        "--max-items",
        "40",
    ]
    (cli.home / "keys").write_bytes(as_json(keys))
    with (cli.home / "keys").open("rb") as pipe:
        first = subprocess.run(
            [*PROGRAM, *command, "--endpoint-url", table.backend.url],
            stdin=pipe,
            env=cli.environment(),
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert first.returncode == 3, first.stderr
    result = cli.resume("piped")
    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=150, touched=150)
    chosen = {json.dumps(key, sort_keys=True) for key in keys}
    before.assert_fired(before.select(lambda item: json.dumps(table.key(item), sort_keys=True) in chosen))


@on_one_backend
def test_a_list_shared_by_processes(cli: Cli, make_table: MakeTable) -> None:
    """Each process reads its own part of the list; the list is removed when the run is complete."""
    table = make_table()
    table.fill(hash_rows(4_200))
    before = Snapshot.of(table)
    (cli.home / "keys").write_text("pk\n" + "".join(f"item-{n}\n" for n in range(4_200)))
    checkpoint = cli.home / "run.refire"

    result = cli.refire(
        table.name, "--keys-file", "keys", "--processes", "2", "--checkpoint", str(checkpoint)
    )

    assert result.code == 0, result.stderr
    assert_summary(result.json, scanned=4_200, touched=4_200)
    before.assert_fired()
    assert not checkpoint.with_name("run.refire.keys").exists()
