"""A function that fails as its script says. It runs in tests, and as text in the environment of a judge.

The script names records by sequence number: in what way the function fails for one, and for how many invocations.
"""

SUCCESSES = (None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, {"statusCode": 200})
"""Answers that report no failure (Lambda Developer Guide: Configuring partial batch response with DynamoDB)."""

ODD_MEMBERS = (
    {"itemIdentifier": ""},
    {"itemIdentifier": None},
    {"itemIdentifer": "100000000000000000001"},
    {"itemIdentifier": "999"},
    {},
    "100000000000000000001",
)
"""Members of `batchItemFailures` that name no record of the batch."""


def answer(script, seen, sequences):
    """(payload, function error) of an invocation with these records; `seen` counts invocations by record.

    Modes: `error` raises, `item` is reported in `batchItemFailures`, `odd` is reported beside a member that names no
    record. Failures are reported in another order than that of the records. The answer to a batch without failures has
    one of the shapes of `SUCCESSES`.
    """
    failing = []
    for sequence in sequences:
        seen[sequence] = seen.get(sequence, 0) + 1
        mode, times = script["fails"].get(sequence, ("", 0))
        if seen[sequence] <= times:
            failing.append((sequence, mode))
    modes = {mode for _, mode in failing}
    if "error" in modes:
        return {"errorMessage": "no", "errorType": "ValueError"}, "Unhandled"
    items = [{"itemIdentifier": sequence} for sequence, _ in failing]
    if "odd" in modes:
        items.append(ODD_MEMBERS[script["shape"] % len(ODD_MEMBERS)])
    if not items:
        return SUCCESSES[script["shape"] % len(SUCCESSES)], None
    first = script["shape"] % len(items)
    return {"batchItemFailures": [*items[first:], *items[:first]]}, None
