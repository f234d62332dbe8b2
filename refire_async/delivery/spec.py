"""What identifies a delivery, and whether a ledger belongs to the one that the user means. Pure."""

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from refire_async.delivery.rules import DeliveryRules
from refire_async.errors import CheckpointRefusedError
from refire_async.model.delivery import DeliveryCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySpec:
    """A replay or redrive as it was begun. Times are seconds since the epoch.

    `source` and `function` are for people too: where records come from, and the name of their target. `selection` is
    a text of the command's own for what else must stay the same: two deliveries with the same text select the same
    records. `stream_arn` and `table_id` are None where the source has no stream or table. `limits_age`: the user set
    a limit on the age of records. The limit of a mapping counts from when the delivery began, since records that are
    delivered again are old by intent.
    """

    run_id: str
    command: DeliveryCommand
    source: str
    function: str
    rules: DeliveryRules
    table: str | None = None
    table_id: str | None = None
    stream_arn: str | None = None
    since: float | None = None
    until: float | None = None
    selection: str = ""
    limits_age: bool = False


def spec_to_json(spec: DeliverySpec) -> str:
    """The spec as JSON text that `spec_from_json` reads back."""
    return orjson.dumps(asdict(spec)).decode()


def spec_from_json(text: str) -> DeliverySpec:
    """The spec that `spec_to_json` wrote. Raises TypeError, KeyError or ValueError on anything else."""
    data = orjson.loads(text)
    rules = data["rules"]
    return DeliverySpec(**{**data, "rules": DeliveryRules(**{**rules, "filters": tuple(rules["filters"])})})


_SAME = ("command", "source", "function", "table", "table_id", "stream_arn", "since", "until", "selection")


def refuse_other(path: Path, saved: DeliverySpec, wanted: DeliverySpec) -> None:
    """Raise CheckpointRefusedError with the difference if the ledger at `path` is not of the delivery `wanted`.

    Batches may be made and repeated by other rules after a resume, but the lanes and filters stay the same: the
    positions of lanes count on it.
    """
    different = [name for name in _SAME if getattr(saved, name) != getattr(wanted, name)]
    different += [
        name
        for name in ("parallelization", "filters")
        if getattr(saved.rules, name) != getattr(wanted.rules, name)
    ]
    if different:
        name = different[0]
        before, now = (_shown(spec, name) for spec in (saved, wanted))
        raise CheckpointRefusedError(
            f"checkpoint {path} holds delivery {saved.run_id} with another {name.replace('_', ' ')}:"
            f" {before}, not {now}",
            "continue it with 'refire resume', or name another file for a new delivery",
        )


def _shown(spec: DeliverySpec, name: str) -> str:
    value = getattr(spec.rules if name in ("parallelization", "filters") else spec, name)
    return "none" if value in (None, "", ()) else str(value)[:200]
