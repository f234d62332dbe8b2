"""The configuration of a sandbox: a frozen record of plain values that is passed to the child process as JSON."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import orjson

from refire_async.sandbox.fault_specs import parse_faults
from refire_async.sandbox.latency import parse_latency


@dataclasses.dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Settings of one sandbox server.

    Every value is plain JSON data; ``faults`` and ``tables`` hold the parsed content of the files of the same
    name (see docs/sandbox.md). ``port`` 0 takes any free port. ``partitions`` and ``split_after`` (seconds
    of sustained heat, or "never") are decided by the capacity model where they are None, as is ``growth_after``
    (seconds after which a new peak of on-demand traffic counts). ``latency`` is written as
    ``5ms`` or ``lognormal:5ms,0.5``. ``gzip`` compresses answers of 1 KB and more for clients that ask for it, as
    the service does. Call ``validate`` before use.
    """

    host: str = "127.0.0.1"
    port: int = 0
    burst_seconds: float = 300.0
    partitions: int | None = None
    split_after: float | Literal["never"] | None = None
    growth_after: float | None = None
    latency: str | None = None
    faults: Mapping[str, Any] | None = None
    tables: tuple[Mapping[str, Any], ...] = ()
    seed: int = 0
    gzip: bool = False

    @classmethod
    def from_files(
        cls, *, tables_file: str | Path | None = None, faults_file: str | Path | None = None, **settings: Any
    ) -> SandboxConfig:
        """Read ``--tables`` and ``--faults`` files, validate everything and return the record.

        Raises ``ValueError`` with one line that names the file or option and says what is wrong.
        """
        if tables_file is not None:
            tables = _read_json(tables_file, "--tables")
            if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
                raise ValueError(f"--tables {tables_file}: must hold a JSON list of tables")
            settings["tables"] = tuple(tables)
        if faults_file is not None:
            faults = _read_json(faults_file, "--faults")
            if not isinstance(faults, dict):
                raise ValueError(f"--faults {faults_file}: must hold a JSON object")
            settings["faults"] = faults
        return cls(**settings).validate()

    def validate(self) -> SandboxConfig:
        """Return self, or raise ``ValueError`` that says which value is wrong and why, a line for each mistake.

        Tables are looked at when the sandbox makes them.
        """
        if not self.host:
            raise ValueError("host: must not be empty; 127.0.0.1 is the default")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port: {self.port} is not between 0 and 65535")
        if not 0 <= self.burst_seconds <= 86_400:
            raise ValueError(f"burst seconds: {self.burst_seconds} is not between 0 and 86400")
        if self.partitions is not None and not 1 <= self.partitions <= 100_000:
            raise ValueError(f"partitions: {self.partitions} is not between 1 and 100000")
        if not (self.split_after is None or self.split_after == "never" or self.split_after > 0):
            raise ValueError(
                f"split after: {self.split_after} seconds is not more than 0; use never to turn it off"
            )
        if self.growth_after is not None and not self.growth_after > 0:
            raise ValueError(f"growth after: {self.growth_after} seconds is not more than 0")
        if self.latency is not None:
            parse_latency(self.latency)
        if self.faults is not None:
            parse_faults(self.faults)
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach ``host``."""
        return is_loopback(self.host)

    def to_json(self) -> bytes:
        """One line of JSON, as ``from_json`` reads it."""
        return orjson.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> SandboxConfig:
        """The record that ``to_json`` wrote."""
        values = orjson.loads(text)
        values["tables"] = tuple(values["tables"])
        return cls(**values)


def is_loopback(host: str) -> bool:
    """Whether an address or host name is a loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _read_json(path: str | Path, option: str) -> Any:
    try:
        return orjson.loads(Path(path).read_bytes())
    except OSError as error:
        raise ValueError(f"{option} {path}: {error.strerror or error}") from error
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{option} {path}: not valid JSON: {error}") from error
