"""Which run a checkpoint belongs to, and whether it is the one that the user means. Pure."""

from dataclasses import replace
from pathlib import Path

from refire_async.checkpoint.saved import SavedRun, spec_from_json, spec_to_json
from refire_async.errors import CheckpointRefusedError
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
                f"give the options of run {spec.run_id}, or go on with 'refire resume'",
            )
    return spec


def check_table(path: Path, spec: RunSpec, table: Table) -> None:
    if spec.table_id != table.table_id:
        raise CheckpointRefusedError(
            f"checkpoint {path} belongs to an earlier table {spec.table} (another TableId)",
            "begin a new run for the table that is there now",
        )


def merge_connections(saved: Connection, given: Connection) -> Connection:
    """The saved connection, where the user does not say otherwise."""
    return Connection(
        region=given.region or saved.region,
        profile=given.profile or saved.profile,
        endpoint_url=given.endpoint_url or saved.endpoint_url,
    )
