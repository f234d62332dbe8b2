"""What the sandbox has accepted, second by second."""

import json
from urllib.request import urlopen

from tests.support.tables import Table


def accepted_by_second(table: Table) -> dict[int, float]:
    """Write units by second since 1970, for those with any."""
    with urlopen(f"{table.backend.url}/_sandbox/stats") as answer:
        indexes = json.load(answer)["tables"][table.name]["arms"]
    (found,) = [entry for entry in indexes if entry["index"] is None]
    return {int(row[0]): row[2] for row in found["seconds"] if row[2]}
