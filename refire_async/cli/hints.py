"""Command lines for the user to run next, with the options of this attempt."""

from dataclasses import dataclass
from pathlib import Path

from refire_async.model.address import TableAddress
from refire_async.model.marker import DEFAULT_ATTRIBUTE
from refire_async.model.run import RunSpec
from refire_async.output.summary import command_line
from refire_async.settings import (
    DEFAULT_GIVE_UP_AFTER_S,
    DEFAULT_WCU_PERCENT,
    Budget,
    Connection,
    PacingSettings,
    ResumeSettings,
    RunSettings,
)

Options = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Hints:
    """The next command lines, given the settings of this attempt."""

    settings: RunSettings | ResumeSettings
    checkpoint: Path | TableAddress | None
    """The path as the user gave it; None for the default."""

    def resume(self, run_id: str) -> str:
        """Resume the run, with the same connection and speed limits: a checkpoint does not contain the limits."""
        settings = self.settings
        options: Options = [
            ("--checkpoint", str(self.checkpoint) if self.checkpoint else None),
            ("--archive", settings.archive),
            ("--task", None if settings.task is None else str(settings.task)),
            *_connection(settings.connection),
            *_budget(settings.budget),
            *_pacing(settings.pacing),
            ("--workers", _text(settings.tuning.workers)),
            ("--processes", None if settings.tuning.processes == 1 else str(settings.tuning.processes)),
            ("--writer", None if settings.tuning.writer == "partiql" else settings.tuning.writer),
            ("--give-up-after", _duration(settings.tuning.give_up_after_s)),
            *(("--ignore", finding) for finding in sorted(settings.ignore)),
        ]
        return command_line("resume", run_id, options=options)

    def verify(self, run_id: str) -> str:
        """Verify the run, with the same connection."""
        options: Options = [
            ("--checkpoint", str(self.checkpoint) if self.checkpoint else None),
            *_connection(self.settings.connection),
        ]
        return command_line("verify", run_id, options=options)

    def rerun_failed(self, spec: RunSpec, keys_file: str) -> str:
        """Touch the failed items again."""
        return rerun(spec, keys_file, self.settings.connection)


def rerun(spec: RunSpec, keys_file: str, connection: Connection) -> str:
    """Start a run for the keys that run `spec` wrote to `keys_file`."""
    marker = spec.marker
    default = marker.attribute == DEFAULT_ATTRIBUTE[marker.kind]
    options: Options = [
        ("--table", spec.table),
        ("--keys-file", keys_file),
        *_connection(connection),
        ("--marker", None if marker.kind == "revision" else marker.kind),
        ("--marker-attribute", None if default else marker.attribute),
    ]
    return command_line("run", options=options)


def _connection(connection: Connection) -> Options:
    return [
        ("--region", connection.region),
        ("--profile", connection.profile),
        ("--endpoint-url", connection.endpoint_url),
    ]


def _budget(budget: Budget) -> Options:
    percent = None if budget.wcu_percent == DEFAULT_WCU_PERCENT else budget.wcu_percent
    return [
        ("--max-wcu", _text(budget.max_wcu)),
        ("--wcu-percent", _text(percent)),
        ("--max-rcu", _text(budget.max_rcu)),
        ("--max-rate", _text(budget.max_rate)),
    ]


def _pacing(pacing: PacingSettings) -> Options:
    headroom = None if pacing.headroom_percent is None else f"{pacing.headroom_percent:.12g}%"
    return [
        ("--rate", pacing.rate),
        ("--rate-timezone", pacing.timezone),
        ("--headroom", headroom),
        (
            "--max-iterator-age",
            None if pacing.max_iterator_age_s is None else f"{pacing.max_iterator_age_s:.0f}s",
        ),
        ("--consumer-rate", _text(pacing.consumer_rate)),
        ("--max-consumer-errors", _text(pacing.max_consumer_errors)),
    ]


def _duration(seconds: float) -> str | None:
    return None if seconds == DEFAULT_GIVE_UP_AFTER_S else f"{seconds:.0f}s"


def _text(number: float | None) -> str | None:
    return None if number is None else f"{number:.12g}"
