"""Memory does not grow with the number of items. Long: run it with `pytest -m soak`."""

from pathlib import Path
from typing import Any

import pytest

from refire_async.sandbox.config import SandboxConfig
from refire_async.sandbox.process import SandboxProcess
from tests.support.cli import Cli
from tests.support.judge import assert_summary

MIB = 1 << 20


def table_of(items: int) -> dict[str, Any]:
    """A table of that many small items, for the sandbox's tables file; its capacity is no limit."""
    return {
        "TableName": "many",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 100_000, "WriteCapacityUnits": 100_000},
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "Generate": {"Count": items, "ItemBytes": 100},
    }


def peak_of_a_run(items: int, folder: Path) -> int:
    """Peak memory in bytes of a run over that many small items in its own sandbox."""
    folder.mkdir()
    with SandboxProcess(SandboxConfig(tables=(table_of(items),))) as sandbox:
        cli = Cli(folder, sandbox.url)
        result = cli.start("run", "--table", "many", "--json").wait(timeout_s=1200)
        cli.close()
    assert result.code == 0, result.stderr
    assert_summary(result.json, touched=items)
    return result.peak_bytes


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_memory_does_not_grow(tmp_path: Path) -> None:
    """The peak for 1,000,000 small items is within 20% of the peak for 100,000, and under 200 MiB."""
    small = peak_of_a_run(100_000, tmp_path / "small")
    large = peak_of_a_run(1_000_000, tmp_path / "large")
    found = f"{small / MIB:.1f} MiB for 100,000 items, {large / MIB:.1f} MiB for 1,000,000"
    print(found)  # noqa: T201 - the evidence, shown with -s
    assert large < 1.2 * small, found
    assert large < 200 * MIB, found
