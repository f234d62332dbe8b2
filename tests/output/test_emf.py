"""The line for CloudWatch follows the specification of the embedded metric format."""

import json
from typing import Any

import pytest

from refire_async.output.metrics import emf_line
from tests.output.samples import summary

# CloudWatch API Reference: MetricDatum; those that a run could use.
UNITS = {"Seconds", "Milliseconds", "Bytes", "Percent", "Count", "Count/Second", "None"}


def judge(line: str) -> list[str]:
    """What is wrong with an EMF document (CloudWatch User Guide: Specification: Embedded metric format)."""
    wrong = []
    root: dict[str, Any] = json.loads(line)
    if "\n" in line or len(line.encode()) > 256 * 1024:
        wrong.append("not one line of at most 256 KB")
    metadata = root["_aws"]
    if set(metadata) != {"Timestamp", "CloudWatchMetrics"} or type(metadata["Timestamp"]) is not int:
        wrong.append("metadata")
    for directive in metadata["CloudWatchMetrics"]:
        if set(directive) != {"Namespace", "Dimensions", "Metrics"}:
            wrong.append("members of the directive")
        if not 1 <= len(directive["Namespace"]) <= 255:
            wrong.append("namespace")
        if not directive["Dimensions"] or len(directive["Metrics"]) > 100:
            wrong.append("no set of dimensions, or too many metrics")
        wrong += [
            f"dimensions {names}"
            for names in directive["Dimensions"]
            if len(names) > 9 or not all(isinstance(root.get(name), str) for name in names)
        ]
        for metric in directive["Metrics"]:
            value = root.get(metric["Name"])
            if isinstance(value, bool) or not isinstance(value, int | float):
                wrong.append(f"metric {metric['Name']} is not a number of the root")
            if set(metric) != {"Name", "Unit"} or metric["Unit"] not in UNITS:
                wrong.append(f"definition {metric}")
    return wrong


def test_it_is_a_document_with_the_run_s_figures() -> None:
    """Valid, in milliseconds, with one set of dimensions, and all of the summary's numbers."""
    line = emf_line(summary(scanned=5, touched=5), 1_790_000_000.5)
    assert judge(line) == []
    found = json.loads(line)
    assert found["_aws"]["Timestamp"] == 1_790_000_000_500
    assert (found["touched"], found["wcu"], found["table"], found["run_id"]) == (5, 1234.5, "orders", "run-1")
    (directive,) = found["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["table", "status"]]
    numbers = {name for name, value in summary().to_json().items() if isinstance(value, int | float)}
    assert {metric["Name"] for metric in directive["Metrics"]} == numbers


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("table",), 7),
        (("touched",), "5"),
        (("_aws", "Timestamp"), "now"),
        (("_aws", "CloudWatchMetrics", 0, "Namespace"), ""),
        (("_aws", "CloudWatchMetrics", 0, "Metrics", 0, "Unit"), "Items"),
        (("_aws", "CloudWatchMetrics", 0, "Dimensions", 0), ["nowhere"]),
    ],
)
def test_the_judge_finds_what_is_wrong(path: tuple[Any, ...], value: Any) -> None:
    """The judge reports each damaged document."""
    found = json.loads(emf_line(summary(touched=5), 1.0))
    place = found
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert judge(json.dumps(found))
