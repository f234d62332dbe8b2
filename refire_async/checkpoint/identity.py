"""Which run a checkpoint belongs to, and whether it is the one that the user means. Pure."""

from dataclasses import dataclass, replace
from pathlib import Path

from refire_async.checkpoint.reading import SavedRun, spec_from_json, spec_to_json
from refire_async.errors import CheckpointRefusedError
from refire_async.model.marker import DEFAULT_ATTRIBUTE
from refire_async.model.run import RunSpec
from refire_async.model.table import Table
from refire_async.settings import Connection, RunSettings


def adopt(path: Path, saved: SavedRun, settings: RunSettings, wanted: RunSpec) -> RunSpec:
    """The saved run, if `wanted` is the same one. Raises CheckpointRefusedError with the difference."""
    spec = saved.spec
    if saved.status == "complete":
        raise CheckpointRefusedError(
            f"checkpoint {path} holds run {spec.run_id}, which is complete", "name another file for a new run"
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
    # Through JSON, so that both sides have had the same journey.
    same = spec_from_json(spec_to_json(same))
    as_before = replace(same.selection, fingerprint=spec.selection.fingerprint)
    if same.selection != spec.selection and as_before == spec.selection:
        raise CheckpointRefusedError(
            f"{spec.selection.origin} was changed since run {spec.run_id} began",
            "begin a new run with it, or go on with what it was by 'refire resume'",
        )
    names = {
        "run_id": "run id",
        "table": "table",
        "table_id": "table (made again under the same name)",
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


def check_table(path: Path, spec: RunSpec, table: Table) -> None:
    """Refuse a checkpoint of another table than this one. Raises CheckpointRefusedError."""
    if spec.table_id != table.table_id:
        raise CheckpointRefusedError(
            f"checkpoint {path} belongs to an earlier table {spec.table} (another TableId)",
            "begin a new run for the table that is there now",
        )
    if spec.keys != table.keys:
        raise CheckpointRefusedError(
            f"checkpoint {path} has other key attributes than table {spec.table}, which cannot change",
            "begin a new run, or restore the file",
        )


def merge_connections(saved: Connection, given: Connection, own: Connection | None = None) -> Connection:
    """The saved connection, where the user does not say otherwise.

    `own` is where the user's configuration leads without the checkpoint (aws/configured.py). What it says as well is
    left to it: a profile or endpoint of the environment means more than the same one given by name.
    """

    def choose(name: str) -> str | None:
        mine: str | None = getattr(given, name)
        theirs: str | None = getattr(saved, name)
        if mine is not None or theirs is None:
            return mine
        return None if own is not None and getattr(own, name) == theirs else theirs

    return Connection(region=choose("region"), profile=choose("profile"), endpoint_url=choose("endpoint_url"))


@dataclass(frozen=True, slots=True)
class Usual:
    """What a user's configuration says of runs: a table, if it names one, and a marker attribute."""

    table: str | None = None
    marker_attribute: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which a checkpoint would lead elsewhere than the user's own configuration."""

    what: str
    saved: str
    own: str


def differences(saved: SavedRun, given: Connection, own: Connection, usual: Usual) -> list[Difference]:
    """Where going on with `saved` leads, as far as that is not where `own` and `usual` lead.

    What the user gives as an option is in `own` too. The default marker attributes are refire's own.
    """
    found = [
        Difference(name, theirs, getattr(own, field) or unset)
        for field, name, unset in (
            ("endpoint_url", "endpoint", "AWS itself"),
            ("profile", "profile", "none"),
            ("region", "region", "none"),
        )
        if getattr(given, field) is None
        and (theirs := getattr(saved.connection, field)) is not None
        and theirs.rstrip("/") != (getattr(own, field) or "").rstrip("/")
    ]
    spec = saved.spec
    if usual.table is not None and usual.table.rpartition("/")[2] != spec.table.rpartition("/")[2]:
        found.append(Difference("table", spec.table, usual.table))
    default = DEFAULT_ATTRIBUTE[spec.marker.kind]
    if spec.marker.attribute not in (usual.marker_attribute, default):
        found.append(Difference("marker attribute", spec.marker.attribute, usual.marker_attribute or default))
    return found
