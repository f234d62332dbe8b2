"""`python -m tests.probes`: try what the project assumes about AWS.

python -m tests.probes [--endpoint-url URL | --profile P --region R] [--only AREA]… [--yes]
python -m tests.probes --clean
python -m tests.probes matrix DIR
"""

import secrets
import signal
import sys
from pathlib import Path

import click

from tests.probes import catalogue, matrix, results, show
from tests.probes.clients import Clients, NoServerError, Target, connect
from tests.probes.facts import Probe
from tests.probes.lab import Lab
from tests.probes.resources import find
from tests.probes.runner import Result, run, tried_and_agreed

EXIT_AGREES, EXIT_DIFFERS, EXIT_USAGE, EXIT_STOPPED, EXIT_LEFT = 0, 1, 2, 3, 4

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "assumptions.md"
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--endpoint-url", help="An emulator's URL. Without it: what the AWS configuration says.")
@click.option("--profile", help="Profile of the AWS configuration.")
@click.option("--region", help="AWS region.")
@click.option(
    "--only", multiple=True, metavar="AREA", help="Only this area or fact; may be given several times."
)
@click.option(
    "--max-dollars", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Bound of the cost."
)
@click.option("--yes", is_flag=True, help="Do not ask before anything is made or deleted.")
@click.option("--json", "json_file", type=_FILE, help="Write the results to this file.")
@click.option("--html", "html_file", type=_FILE, help="Write the results as a page.")
@click.option("--clean", is_flag=True, help="Delete what earlier sessions left behind, and try nothing.")
@click.option(
    "--server",
    type=click.Choice([*matrix.SERVERS, "other"]),
    help="Which server it is, where it cannot tell.",
)
@click.pass_context
def program(  # noqa: PLR0917 - click passes options by name
    ctx: click.Context,
    endpoint_url: str | None,
    profile: str | None,
    region: str | None,
    only: tuple[str, ...],
    max_dollars: float,
    yes: bool,
    json_file: Path | None,
    html_file: Path | None,
    clean: bool,
    server: str | None,
) -> None:
    """Try what refire-async assumes about AWS, on resources that this program makes and takes away."""
    if ctx.invoked_subcommand is not None:
        return
    if endpoint_url and profile:
        raise click.UsageError("give --endpoint-url or --profile, not both")
    known = {fact.id for fact in catalogue.facts()} | {area.name for area in catalogue.areas()}
    if unknown := [name for name in only if name not in known]:
        names = ", ".join(area.name for area in catalogue.areas())
        raise click.UsageError(f"there is no area or fact {unknown[0]}; areas: {names}")
    try:
        clients = connect(Target(endpoint_url, profile, region, server), max_dollars)
    except NoServerError as error:
        raise click.UsageError(str(error)) from error
    try:
        sys.exit(
            _clean(clients, yes=yes)
            if clean
            else _probe(clients, only, max_dollars, json_file, html_file, yes=yes)
        )
    finally:
        clients.close()


@program.command("matrix")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=_FILE, default=_PAGE, help="The page; docs/assumptions.md unless given.")
def make_matrix(folder: Path, out: Path) -> None:
    """Write docs/assumptions.md from the result files of a folder."""
    try:
        files = [results.load(path) for path in sorted(folder.glob("*.json"))]
    except results.BadFileError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_USAGE)
    if not files:
        click.echo(f"error: there is no result file (*.json) in {folder}", err=True)
        sys.exit(EXIT_USAGE)
    out.write_text(matrix.page(files), encoding="utf-8")
    click.echo(f"{out} from {len(files)} files")


def _probe(
    clients: Clients,
    only: tuple[str, ...],
    max_dollars: float,
    json_file: Path | None,
    html_file: Path | None,
    *,
    yes: bool,
) -> int:
    chosen = catalogue.choose(only, at_aws=clients.at_aws)
    probes = [fact for fact in chosen if isinstance(fact, Probe)]
    click.echo(show.announcement(probes, _where(clients)))
    most = show.bound(probes).dollars
    if most > max_dollars:
        click.echo(f"error: that may cost ${most:.4f}, more than --max-dollars {max_dollars:g}", err=True)
        return EXIT_USAGE
    if not _confirmed("Go on?", yes=yes):
        return EXIT_USAGE
    lab = Lab(clients, secrets.token_hex(4))
    found: list[Result] = []
    stopped = False

    def report(result: Result) -> None:
        found.append(result)
        click.echo(show.line_of(result))

    left: list[str] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # takes everything away as Ctrl-C does
    try:
        run(lab, chosen, report)
    except KeyboardInterrupt:
        stopped = True
    finally:
        left = lab.close()
    facts = catalogue.by_id()
    collected = results.collect(clients.server, clients.region, found)
    if json_file is not None:
        json_file.write_text(results.dumps(collected), encoding="utf-8")
    if html_file is not None:
        html_file.write_text(show.page(collected, facts), encoding="utf-8")
    click.echo("\n" + show.details(found, facts))
    click.echo(f"{show.summary(found)}; consumed at most ${clients.meter.dollars:.4f}")
    for line in left:
        click.echo(f"error: not taken away: {line}; try --clean", err=True)
    if left:
        return EXIT_LEFT
    if stopped or not any(result.outcome != "not tried" for result in found):
        return EXIT_STOPPED
    return EXIT_AGREES if tried_and_agreed(found) else EXIT_DIFFERS


def _clean(clients: Clients, *, yes: bool) -> int:
    complaints: list[str] = []
    left = list(find(clients, complaints.append))
    click.echo(f"Left behind on {_where(clients)}: {', '.join(map(str, left)) or 'nothing'}")
    for line in complaints:
        click.echo(f"error: {line}", err=True)
    if left and not _confirmed("Delete it?", yes=yes):
        return EXIT_USAGE
    for one in left:
        one.delete()
        click.echo(f"deleted {one}")
    return EXIT_LEFT if complaints else EXIT_AGREES


def _where(clients: Clients) -> str:
    return f"AWS, {clients.region}" if clients.at_aws else f"{clients.server} at {clients.url}"


def _confirmed(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        click.echo("error: nothing was made or deleted: give --yes, or answer at a terminal", err=True)
        return False
    return click.confirm(question)


if __name__ == "__main__":
    program(prog_name="python -m tests.probes")
