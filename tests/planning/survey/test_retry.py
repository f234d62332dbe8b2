"""The retries of a survey on a busy table, and their limit."""

import pytest

from refire_async.aws.errors import AwsError, Disposition
from refire_async.planning.survey.retry import ATTEMPTS, with_retries
from tests.support.virtual_time import run_virtual


class Refusing:
    """Fails `times` times, then succeeds."""

    def __init__(self, times: int, disposition: Disposition) -> None:
        self.asked = 0
        self._times = times
        self._disposition = disposition

    async def read(self) -> str:
        self.asked += 1
        if self.asked <= self._times:
            raise AwsError("Refused", "refused", self._disposition)
        return "page"


@pytest.mark.parametrize("disposition", [Disposition.THROTTLED, Disposition.RETRY])
def test_a_temporary_error_is_retried(disposition: Disposition) -> None:
    """Up to the limit."""
    refusing = Refusing(ATTEMPTS - 1, disposition)
    assert run_virtual(lambda: with_retries(refusing.read)) == "page"


@pytest.mark.parametrize(
    ("times", "disposition", "asked"),
    [(ATTEMPTS, Disposition.THROTTLED, ATTEMPTS), (1, Disposition.FATAL, 1)],
)
def test_it_is_given_up(times: int, disposition: Disposition, asked: int) -> None:
    """After `ATTEMPTS`; at once for a permanent error."""
    refusing = Refusing(times, disposition)
    with pytest.raises(AwsError):
        run_virtual(lambda: with_retries(refusing.read))
    assert refusing.asked == asked
