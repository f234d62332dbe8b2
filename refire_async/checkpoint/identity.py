"""Whether a checkpoint belongs to the run that the user asked for. Pure."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from refire_async.checkpoint.reading import SavedRun, spec_from_json, spec_to_json
from refire_async.errors import CheckpointRefusedError
from refire_async.model.address import TableAddress
from refire_async.model.marker import DEFAULT_ATTRIBUTE
from refire_async.model.run import RunSpec, RunStatus
from refire_async.model.table import Table
from refire_async.settings import Connection, RunSettings


class Known(Protocol):
    """What identifies a run in its checkpoint."""

    @property
    def spec(self) -> RunSpec: ...

    @property
    def status(self) -> RunStatus: ...


def adopt(path: Path | TableAddress, saved: Known, settings: RunSettings, wanted: RunSpec) -> RunSpec:
    """Return the saved run if `wanted` is the same run. Raises CheckpointRefusedError with the difference otherwise."""
    spec = saved.spec
    if saved.status == "complete":
        raise CheckpointRefusedError(
            f"checkpoint {path} holds run {spec.run_id}, which is complete",
            "choose another file for a new run",
        )
    run_id = settings.run_id or spec.run_id
    chosen = settings.tuning.segments and not spec.selection.listed
    segments = wanted.total_segments if chosen else spec.total_segments
    same = replace(
        wanted,
        run_id=run_id,
        marker=replace(wanted.marker, run_id=run_id),
        total_segments=segments,
        ttl_attribute=spec.ttl_attribute,
    )
    # Through JSON, as the saved one, so that equal values compare equal.
    same = spec_from_json(spec_to_json(same))
    as_before = replace(same.selection, fingerprint=spec.selection.fingerprint)
    if same.selection != spec.selection and as_before == spec.selection:
        raise CheckpointRefusedError(
            f"{spec.selection.origin} has changed since run {spec.run_id} began",
            "start a new run, or continue with the earlier content: 'refire resume'",
        )
    names = {
        "run_id": "run id",
        "table": "table",
        "table_id": "table (created again under the same name)",
        "keys": "key schema",
        "selection": "selection",
        "marker": "marker",
        "total_segments": "number of segments",
    }
    for field, name in names.items():
        if getattr(same, field) != getattr(spec, field):
            raise CheckpointRefusedError(
                f"checkpoint {path} belongs to another {name}",
                f"give the options of run {spec.run_id}, or run 'refire resume'",
            )
    return spec


def check_table(path: Path | TableAddress, spec: RunSpec, table: Table) -> None:
    """Refuse a checkpoint of another table. Raises CheckpointRefusedError."""
    if spec.table_id != table.table_id:
        raise CheckpointRefusedError(
            f"checkpoint {path} belongs to an earlier table {spec.table} (another TableId)",
            "start a new run for the present table",
        )
    if spec.keys != table.keys:
        raise CheckpointRefusedError(
            f"checkpoint {path} has other key attributes than table {spec.table}, which cannot change",
            "start a new run, or restore the file from a backup",
        )


def merge_connections(saved: Connection, given: Connection, own: Connection | None = None) -> Connection:
    """The saved connection, with the values that the user gave taking precedence.

    `own` is the connection that the user's configuration leads to without the checkpoint (aws/config.py). Saved
    values that equal it are left to the configuration, because a profile or endpoint in the environment can imply
    more than its name.
    """

    def choose(name: str) -> str | None:
        chosen: str | None = getattr(given, name)
        before: str | None = getattr(saved, name)
        if chosen is not None or before is None:
            return chosen
        return None if own is not None and getattr(own, name) == before else before

    return Connection(region=choose("region"), profile=choose("profile"), endpoint_url=choose("endpoint_url"))


@dataclass(frozen=True, slots=True)
class Usual:
    """The table and marker attribute in the user's configuration, if it has them."""

    table: str | None = None
    marker_attribute: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A value in which a checkpoint differs from the user's configuration."""

    what: str
    saved: str
    own: str


def connection_differences(saved: Connection, given: Connection, own: Connection) -> list[Difference]:
    """The values of a saved connection that differ from those of `own`, which includes the options `given`."""
    return [
        Difference(name, before, getattr(own, field) or unset)
        for field, name, unset in (
            ("endpoint_url", "endpoint", "AWS itself"),
            ("profile", "profile", "none"),
            ("region", "region", "none"),
        )
        if getattr(given, field) is None
        and (before := getattr(saved, field)) is not None
        and before.rstrip("/") != (getattr(own, field) or "").rstrip("/")
    ]


def differences(saved: SavedRun, given: Connection, own: Connection, usual: Usual) -> list[Difference]:
    """The values of `saved` that differ from those of `own` and `usual`.

    `own` includes the options that the user gave. A default marker attribute is no difference.
    """
    found = connection_differences(saved.connection, given, own)
    spec = saved.spec
    if usual.table is not None and usual.table.rpartition("/")[2] != spec.table.rpartition("/")[2]:
        found.append(Difference("table", spec.table, usual.table))
    default = DEFAULT_ATTRIBUTE[spec.marker.kind]
    if spec.marker.attribute not in (usual.marker_attribute, default):
        found.append(Difference("marker attribute", spec.marker.attribute, usual.marker_attribute or default))
    return found
