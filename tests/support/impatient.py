"""`python -m tests.support.impatient ARGUMENTS`: `refire` whose tasks take one another for dead after seconds, not 20.

The ratios are those of the program.
"""

from refire_async.__main__ import main
from refire_async.checkpoint.dynamodb import claims, recorded
from refire_async.engine import attempt, shared
from refire_async.pacing.shares import Terms

FASTER = 5.0

if __name__ == "__main__":
    for name in ("BEAT_S", "HOLD_S", "DEAD_AFTER_S", "LOOK_S"):
        setattr(claims, name, getattr(claims, name) / FASTER)
    shared.STOP_WITHIN_S /= FASTER
    recorded.WRITE_WITHIN_S /= FASTER
    attempt.TASK_TERMS = Terms(*(seconds / FASTER for seconds in attempt.TASK_TERMS))
    main()
