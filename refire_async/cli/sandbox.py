"""`refire sandbox`: run a local DynamoDB for experiments."""

from typing import Any

import click

from refire_async.cli import options
from refire_async.cli.help import Command
from refire_async.cli.params import ExistingFile, Whole, Word
from refire_async.cli.streams import print_result
from refire_async.errors import UsageError


@click.command(
    "sandbox",
    cls=Command,
    examples=(
        ("Serve on a port, then use it with any AWS SDK or with refire", "refire sandbox --port 8123"),
        (
            "Start with tables and faults from files",
            "refire sandbox --tables tables.json --faults faults.json",
        ),
    ),
)
@options.option(
    "Sandbox", "--port", Whole("N", "--port 8123", 0, 65535), "Port to listen on; default: any free port."
)
@options.option(
    "Sandbox",
    "--host",
    Word("ADDRESS", r"\S+", "an address", "for example --host 127.0.0.1"),
    "Address to listen on; default 127.0.0.1, this machine only.",
)
@options.option(
    "Sandbox",
    "--burst-seconds",
    Word("S", r"[0-9]+(\.[0-9]+)?", "seconds, 0 or more", "for example --burst-seconds 0"),
    "Seconds of unused capacity to keep for bursts; default 300, 0 turns it off.",
)
@options.option(
    "Sandbox",
    "--partitions",
    Whole("N", "--partitions 4", 1, 100_000),
    "Partitions of each table; default: from its capacity and size.",
)
@options.option(
    "Sandbox",
    "--split-after",
    Word("S", r"[0-9]+(\.[0-9]+)?|never", "seconds above 0, or never", "for example --split-after 60"),
    "Seconds after which a hot partition splits, or never; default 600.",
)
@options.option(
    "Sandbox",
    "--growth-after",
    Word("S", r"[0-9]+(\.[0-9]+)?", "seconds above 0", "for example --growth-after 30"),
    "Seconds after which on-demand capacity is twice a new peak; default 1800.",
)
@options.option(
    "Sandbox",
    "--latency",
    Word("TIME", r".+", "a time", "for example --latency 5ms or --latency lognormal:5ms,0.5"),
    "Latency of every response, such as 5ms or lognormal:5ms,0.5.",
)
@options.option("Sandbox", "--faults", ExistingFile("FILE"), "Faults to inject, as JSON.")
@options.option("Sandbox", "--tables", ExistingFile("FILE"), "Tables to start with, as JSON.")
@options.option("Sandbox", "--seed", Whole("N", "--seed 1", 0, 2**63 - 1), "Random seed; default 0.")
def command(**given: Any) -> int:
    """Run a local DynamoDB with streams and capacity limits for experiments. Its data is deleted when it stops."""
    from refire_async.sandbox.config import SandboxConfig  # noqa: PLC0415 - slow to import, not needed for help
    from refire_async.sandbox.latency import parse_latency  # noqa: PLC0415
    from refire_async.sandbox.process import SandboxError, run  # noqa: PLC0415

    chosen = {name: value for name, value in given.items() if value is not None}
    for name in ("burst_seconds", "split_after", "growth_after"):
        if chosen.get(name, "never") != "never":
            chosen[name] = float(chosen[name])
    files = {"tables_file": chosen.pop("tables", None), "faults_file": chosen.pop("faults", None)}
    try:
        if "latency" in chosen:
            parse_latency(chosen["latency"])
        run(SandboxConfig.from_files(**files, **chosen), on_ready=_say_ready)
    except (SandboxError, ValueError) as error:
        raise UsageError(str(error), "see refire sandbox --help") from None
    return 0


def _say_ready(url: str) -> None:
    """Print the sandbox's URL and a command that uses it; the sandbox accepts any credentials and region."""
    anything = "AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox AWS_REGION=us-east-1"
    print_result(
        f"Sandbox ready at {url}; stop it with Ctrl-C. To use it:\n"
        f"  {anything} refire run --table NAME --endpoint-url {url}"
    )
