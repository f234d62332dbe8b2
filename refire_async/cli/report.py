"""`refire report`: write the report of a run as one HTML file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.options_to_settings import make_connection
from refire_async.cli.params import ExistingFile, FilePath
from refire_async.cli.parsed_options import ReportOptions
from refire_async.cli.plan import read_prices
from refire_async.cli.saved import as_file, is_delivery, saved_run
from refire_async.cli.streams import print_result
from refire_async.errors import UsageError
from refire_async.private import replacing

if TYPE_CHECKING:
    from refire_async.planning.forecast.cost import Prices


@click.command(
    "report",
    cls=Command,
    unexpected="one run at a time",
    examples=(
        ("A file to open or to mail", "refire report 20260131T120000Z-3f2a1b"),
        (
            "With a chosen file name and the keys of failed items",
            "refire report RUN_ID --out orders.html --with-keys",
        ),
    ),
)
@saved_run
@options.connection
@options.option(
    "Output", "--out", FilePath("FILE"), "Output file; default refire-RUN_ID.html in this folder."
)
@options.flag("Output", "--with-keys", "Include keys: of failed items and of the selection.")
@options.option("Output", "--prices", ExistingFile("FILE"), "JSON file with your own prices.")
@options.json_output
def command(**given: Any) -> int:
    """Write a report of a run as one HTML file: summary, verification, charts over time, cost, findings.

    Of a replay or redrive: outcomes, failed records by condition, settings.

    Reads only the checkpoint: for a file no AWS account is needed. The run may still be in progress.
    """
    parsed = ReportOptions(**given)
    prices = read_prices(parsed.prices)
    with as_file(parsed, make_connection(parsed)) as checkpoint:
        run_id, page = _render(parsed, checkpoint, prices)
    return _finish(parsed, run_id, page)


def _render(parsed: ReportOptions, checkpoint: Path, prices: "Prices") -> tuple[str, str]:
    """The id of the run or delivery, and its page."""
    from datetime import UTC, datetime  # noqa: PLC0415 - not needed to show help

    from refire_async.output.html.page import render  # noqa: PLC0415
    from refire_async.output.html.report_data import read_report_data  # noqa: PLC0415

    if is_delivery(checkpoint):
        from refire_async.delivery.catalog import describe  # noqa: PLC0415 - brings SQLite
        from refire_async.output.html.delivery import render_delivery  # noqa: PLC0415

        info = describe(checkpoint)
        return info.saved.spec.run_id, render_delivery(info, datetime.now(UTC))
    report_data = read_report_data(checkpoint, with_keys=parsed.with_keys, prices=prices)
    return report_data.run.spec.run_id, render(report_data, datetime.now(UTC))


def _finish(parsed: ReportOptions, run_id: str, page: str) -> int:
    """Write the page and print where it is."""
    import orjson  # noqa: PLC0415 - not needed to show help

    path = parsed.out or Path(f"refire-{run_id}.html")
    write(path, page)
    print_result(
        orjson.dumps({"run_id": run_id, "report": str(path)}).decode()
        if parsed.json
        else f"Report of run {run_id}: {path}"
    )
    return 0


def write(path: Path, page: str) -> None:
    """Write the page in one step, readable by its owner only. Raises UsageError."""
    try:
        with replacing(path) as file:
            file.write(page.encode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "choose another place with --out"
        ) from None
