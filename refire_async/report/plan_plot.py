"""A plan as a picture: progress and backlog over time. Needs matplotlib, which the extra `report` brings."""

from pathlib import Path

from refire_async.errors import UsageError
from refire_async.forecast.plan import Plan

_POINTS = 200
_STEPS = ((2 * 86_400.0, 86_400.0, "days"), (2 * 3_600.0, 3_600.0, "hours"), (120.0, 60.0, "minutes"))


def save_plot(plan: Plan, title: str, path: Path) -> None:
    """Write the picture, whose format the name's ending tells (png, svg, pdf).

    Raises:
        UsageError: matplotlib is missing, or the ending is none that it knows.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError(
            "--plot needs matplotlib", "install it with: pip install 'refire-async[report]'"
        ) from None
    end = plan.duration.seconds if plan.backlog is None else plan.backlog.drained_s
    unit, name = next(((size, word) for least, size, word in _STEPS if end >= least), (1.0, "seconds"))
    moments = [end * step / _POINTS for step in range(_POINTS + 1)]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        [moment / unit for moment in moments],
        [plan.load.items * min(1.0, moment / plan.duration.seconds) for moment in moments],
        label="items touched",
    )
    if plan.backlog is not None:
        backlog = plan.backlog
        axes.plot(
            [moment / unit for moment in moments], [backlog.at(moment) for moment in moments], label="backlog"
        )
    axes.set_xlabel(name)
    axes.set_ylabel("items, records")
    axes.set_ylim(bottom=0)
    axes.set_title(f"Plan for {title}")
    axes.legend()
    axes.grid(visible=True, alpha=0.3)
    try:
        figure.savefig(path)
    except ValueError:
        raise UsageError(
            f"{path.name} is not the name of a picture", "end it with .svg, .png or .pdf"
        ) from None
