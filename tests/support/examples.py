"""The number of examples of the property tests: few and always the same by default, many new ones under `-m soak`."""

from collections.abc import Mapping
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from hypothesis import HealthCheck, settings

DEFAULT, SOAK = 30, 500
"""Examples of a property test without a number of its own."""

SOAK_TIMEOUT_S = 3_600.0

_SOAK = "soak"

settings.register_profile("default", derandomize=True, deadline=None, max_examples=DEFAULT)
settings.register_profile(
    _SOAK,
    derandomize=False,
    deadline=None,
    max_examples=SOAK,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def load_profile(markers: str) -> None:
    """The profile for pytest's `-m` expression. xdist gives its workers the expression that the main process set."""
    settings.load_profile(_SOAK if selects_soak(markers) else "default")


def selects_soak(markers: str) -> bool:
    """Whether a `-m` expression selects the long tests."""
    return "soak" in markers and "not soak" not in markers


def runs_soak() -> bool:
    """Whether this test run is one of the long tests."""
    return settings.get_current_profile_name() == _SOAK


def examples(default: int, soak: int, **more: Any) -> settings:
    """Hypothesis settings of one test: `default` examples, or `soak` of them under `-m soak`. Use as a decorator."""
    number = soak if runs_soak() else default
    return settings(max_examples=number, **more)


def thinned(cases: Mapping[str, Any], *kept: str) -> list[ParameterSet]:
    """Parameters of one argument by name; the default run has only `kept`, and `-m soak` the others."""
    assert cases.keys() >= set(kept), set(kept) - cases.keys()
    return [
        pytest.param(case, id=name, marks=() if name in kept else pytest.mark.soak)
        for name, case in cases.items()
    ]


def mark_thinned(items: list[pytest.Item]) -> None:
    """On DynamoDB Local, which is slow, a test with the marker `on_dynamodb_local` has only those parameter sets by
    default and all under `-m soak`. The sandbox always has all: where it differs is the concern of tests/sandbox.
    """
    for item in items:
        marker = item.get_closest_marker("on_dynamodb_local")
        callspec = getattr(item, "callspec", None)
        if marker is None or callspec is None or callspec.params["backend_name"] != "dynamodb-local":
            continue
        if callspec.id.removeprefix("dynamodb-local-") not in marker.args:
            item.add_marker(pytest.mark.soak)


def mark_property_tests(items: list[pytest.Item]) -> None:
    """Under `-m soak` every property test is a long test too, with the timeout of one."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False) and not item.get_closest_marker(
            "soak"
        ):
            item.add_marker(pytest.mark.soak)
            item.add_marker(pytest.mark.timeout(SOAK_TIMEOUT_S))
