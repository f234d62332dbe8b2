"""Rules about other runs of the same table: in progress, or stopped before their end. Pure."""

from refire_async.model.finding import Finding
from refire_async.preflight import findings
from refire_async.preflight.facts import Facts


def check_other_runs(facts: Facts) -> list[Finding]:
    """One at work shares capacity and consumers whatever it selects; a stopped one matters if items can be in both."""
    found = []
    name = facts.asked.table.name
    for other in facts.others:
        if other.working:
            found.append(
                findings.OTHER_RUN_WORKING.found(f"run {other.run_id} of table {name} is at work right now")
            )
        elif other.may_meet(facts.asked.selection):
            found.append(
                findings.OTHER_RUN_STOPPED.found(
                    f"run {other.run_id} of table {name} was stopped half-way, after {other.touched:,} items",
                    f"go on with refire resume {other.run_id}, or end it with refire forget {other.run_id}",
                )
            )
    return found
