"""The end of a run as a line in CloudWatch's embedded metric format.

CloudWatch Logs extracts metrics from such lines (CloudWatch User Guide: Specification: Embedded metric format).
"""

import orjson

from refire_async.model.run import Summary

NAMESPACE = "refire"

# One set of dimensions: each further set would be charged as separate custom metrics.
_DIMENSIONS = [["table", "status"]]
_UNITS = {
    **dict.fromkeys(("scanned", "touched", "already", "conflicts", "vanished", "expired", "failed"), "Count"),
    **dict.fromkeys(("throttled", "retries", "wcu", "rcu"), "Count"),
    "seconds": "Seconds",
    "items_per_second": "Count/Second",
}


def emf_line(summary: Summary, now: float) -> str:
    """One line of JSON; `now` in seconds since the epoch. The run id is a property: a dimension would be charged."""
    fields = summary.to_json()
    metrics = [{"Name": name, "Unit": unit} for name, unit in _UNITS.items()]
    directive = {"Namespace": NAMESPACE, "Dimensions": _DIMENSIONS, "Metrics": metrics}
    return orjson.dumps(
        {
            "_aws": {"Timestamp": round(now * 1000), "CloudWatchMetrics": [directive]},
            **{name: fields[name] for name in ("table", "status", "run_id", *_UNITS)},
        }
    ).decode()
