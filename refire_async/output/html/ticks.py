"""Positions and labels of the ticks of an axis. Pure."""

import math

_TIME_STEPS = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0),
    *(3_600.0, 7_200.0, 10_800.0, 21_600.0, 43_200.0),
)
_DAY_S = 86_400.0
MOST_TIME_TICKS = 9

_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k"))


def round_top(highest: float) -> float:
    """The end of an axis that shows 0 to `highest`: a little above, at a tick."""
    if highest <= 0 or not math.isfinite(highest):
        return 1.0
    step = _step(highest * 1.03 / 4)
    return math.ceil(highest * 1.03 / step) * step


def linear(top: float) -> list[float]:
    """Ticks from 0 to `top`, about five."""
    step = _step(top / 4)
    return [n * step for n in range(math.floor(top / step + 1e-9) + 1)]


def _step(about: float) -> float:
    """The next of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(about))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= about * 0.999)


def logarithmic(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: powers of ten, and 2 and 5 times these where there is room."""
    factors = (1, 2, 5) if high / low < 300 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = (factor * 10.0**power for power in powers for factor in factors)
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def number(value: float) -> str:
    """A tick's number: `0.5`, `1,500`, `40k`, `2.5M`."""
    for size, sign in _LARGE:
        if abs(value) >= size:
            unit = 1e3 if sign == "k" else size
            return f"{value / unit:,g}{sign}"
    return f"{value:,g}"


def times(end_s: float) -> list[tuple[float, str]]:
    """Ticks of an axis from 0 to `end_s` seconds, at round times."""
    days = math.ceil(end_s / _DAY_S / MOST_TIME_TICKS) * _DAY_S
    step = next((step for step in _TIME_STEPS if end_s / step <= MOST_TIME_TICKS), max(days, _DAY_S))
    if end_s < 1.0:
        step = _step(end_s / 4)
    size, unit = next(
        ((size, unit) for size, unit in ((_DAY_S, "d"), (3_600.0, "h"), (60.0, "min")) if step >= size),
        (1.0, "s"),
    )
    ticks = [n * step for n in range(math.floor(end_s / step + 1e-9) + 1)]
    return [(at, "0" if not at else f"{at / size:g} {unit}") for at in ticks]
