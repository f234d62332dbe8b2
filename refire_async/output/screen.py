"""The live panel: a pure function of a snapshot. Fits 80 columns; wider terminals show up to `MOST_COLUMNS`."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from refire_async.events import ConsumerSeen
from refire_async.output.snapshot import Snapshot
from refire_async.output.text import (
    count,
    dollars,
    duration,
    milliseconds,
    percent,
    shorten,
    throttling_reason,
    units,
)

MOST_COLUMNS = 100
MOST_CONSUMERS = 3

_LABEL_COLUMNS = 11
_STATES = {
    "starting": ("starting", "cyan"),
    "running": ("running", "green"),
    "waiting": ("waiting", "yellow"),
    "paused": ("paused", "yellow"),
    "draining": ("draining: finishing writes in flight", "yellow"),
    "ended": ("ended", "green"),
}


def render(now: Snapshot, columns: int) -> RenderableType:
    """The panel for a terminal of `columns` columns."""
    now = now.visible()
    width = min(columns, MOST_COLUMNS)
    inner = width - 4
    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(width=_LABEL_COLUMNS, style="dim", no_wrap=True)
    rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for label, value in _rows(now):
        rows.add_row(label, value)
    panel = Panel(
        Group(_bar(now, inner), rows),
        title=f"refire · {escape(shorten(now.table, inner - 12))}" if now.table else "refire",
        title_align="left",
        subtitle=escape(now.run_id) or None,
        subtitle_align="right",
        border_style="yellow" if now.state in ("waiting", "paused", "draining") else "cyan",
        width=width,
    )
    # The cursor stays on a line of its own, so that the echo of Ctrl-C does not damage the panel.
    return Group(panel, Text())


def height(now: Snapshot) -> int:
    """Lines of the panel, with the empty one below."""
    return len(_rows(now)) + 4


def _bar(now: Snapshot, columns: int) -> RenderableType:
    line = Table.grid(padding=(0, 1), expand=False)
    line.add_column()
    line.add_column(no_wrap=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    text = f"{count(now.done)} of {count(now.expected)}" if now.expected else f"{count(now.done)} items"
    share = "" if now.share is None else percent(now.share)
    bar_columns = max(columns - len(text) - len(share) - 2, 5)
    line.add_row(
        ProgressBar(
            total=None if now.share is None else 1.0,
            completed=now.share or 0.0,
            width=bar_columns,
            animation_time=now.elapsed_s,
        ),
        Text(share, style="bold"),
        Text(text),
    )
    return line


def _rows(now: Snapshot) -> list[tuple[str, Text]]:
    label, style = _STATES[now.state]
    state = Text(label, style=style)
    if now.detail:
        state.append(f" · {now.detail}")
    return [
        ("time", Text(f"{duration(now.elapsed_s)} elapsed · {_remaining(now)}")),
        ("items", Text(f"{_rate(now.items_rate)}/s")),
        ("writes", _writes(now)),
        ("reads", Text(f"{_rate(now.rcu_rate)} of {units(now.max_rcu)} RCU/s")),
        ("throttled", _throttled(now)),
        ("retries", _troubles(now)),
        ("segments", Text(f"{count(now.segments_finished)} of {count(now.segments_total)} read to the end")),
        ("lanes", _lanes(now)),
        ("latency", Text(_latency(now))),
        ("cost", Text(_cost(now))),
        *((_consumer_label(now, one), _consumer(one)) for one in now.consumers[:MOST_CONSUMERS]),
        ("state", state),
    ]


def _consumer_label(now: Snapshot, one: ConsumerSeen) -> str:
    return "consumer" if one is now.consumers[0] else ""


def _consumer(one: ConsumerSeen) -> Text:
    age = "age unknown" if one.age_s is None else f"{duration(one.age_s)} behind"
    text = Text(f"{one.name} · {age}")
    for number, what in ((one.errors, "errors"), (one.throttles, "throttles")):
        if number:
            text.append(f" · {count(number)} {what}", style="yellow")
    return text


def _remaining(now: Snapshot) -> str:
    if now.remaining_s is None:
        return "remaining time unknown"
    left = duration(now.remaining_s)
    match now.hot_key:
        case "yes":
            return f"about {left} left, due to a hot key range"
        case "maybe":
            return f"over {left} left, due to a hot key range"
    return f"about {left} left"


def _rate(rate: float | None) -> str:
    return "-" if rate is None else units(rate)


def _writes(now: Snapshot) -> Text:
    text = Text(f"{_rate(now.wcu_rate)} of {units(now.max_wcu)} WCU/s")
    if now.held_to_wcu is not None:
        text.append(f" · reduced to {units(now.held_to_wcu)} by throttling", style="yellow")
    elif now.bound_by:
        text.append(f" · limited by {now.bound_by}", style="dim")
    return text


def _throttled(now: Snapshot) -> Text:
    if not now.throttled:
        return Text("0")
    reasons = " · ".join(f"{throttling_reason(reason)} {count(number)}" for reason, number in now.throttled)
    return Text(f"{count(now.throttled_total)} · {reasons}", style="yellow")


def _troubles(now: Snapshot) -> Text:
    text = Text(count(now.retries))
    if now.failed:
        text.append(f" · {count(now.failed)} items failed", style="red")
    return text


def _lanes(now: Snapshot) -> Text:
    if now.lanes is None:
        return Text("-")
    active, held = now.lanes
    text = Text(f"{count(active)} with work")
    if held:
        text.append(f" · {count(held)} backing off", style="yellow")
    return text


def _cost(now: Snapshot) -> str:
    if now.cost_usd is None:
        return "-"
    what = "so far" if now.paid_by_request else "of provisioned capacity so far"
    return f"{dollars(now.cost_usd)} {what}, at list prices"


def _latency(now: Snapshot) -> str:
    if now.latency_s is None:
        return "-"
    p50, p99 = now.latency_s
    return f"p50 {milliseconds(p50)} · p99 {milliseconds(p99)} per batch"
