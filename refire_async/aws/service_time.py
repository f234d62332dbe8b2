"""botocore's clients at the service's time: signed by its clock as the data plane's requests are.

botocore (1.40) signs by this machine's clock, so a clock that is wrong by more than 5 minutes would fail every call.
"""

from datetime import UTC, datetime
from typing import Any

from refire_async.aws.clock import ServiceClock
from refire_async.aws.errors import refuses_time

STALE_S = 60.0
"""A signature that differs by less from the service's clock was not refused for its time (the limit is 5 minutes)."""

_TIMESTAMP = "timestamp"
_SENT, _OFFSET = "refire-sent-s", "refire-offset-s"
_MOST_ATTEMPTS = 3


class ServiceTime:
    """Handlers of botocore's events, for every client of a session."""

    def __init__(self, clock: ServiceClock) -> None:
        """`clock` learns from every answer, also from a refusal."""
        self._clock = clock

    def attach(self, core: Any) -> None:
        """To a botocore session, before it makes a client."""
        core.register("before-sign", self._sign)
        core.register("response-received", self._learn)
        core.register("needs-retry", self._try_again)

    def _sign(self, request: Any, **_: Any) -> None:
        request.context[_SENT] = self._clock.wall()
        request.context[_OFFSET] = self._clock.offset_s
        request.context = _Signed(request.context, self._clock)

    def _learn(self, response_dict: Any, context: dict[str, Any], **_: Any) -> None:
        if response_dict is not None and _SENT in context:
            self._clock.learn(response_dict["headers"].get("date"), context[_SENT])

    def _try_again(
        self, response: Any, attempts: int, request_dict: dict[str, Any], **_: Any
    ) -> float | None:
        """0 (at once) where the service refused the time, and the next signature will have another; None else."""
        offset_s = request_dict["context"].get(_OFFSET)
        if response is None or offset_s is None or attempts >= _MOST_ATTEMPTS:
            return None
        error = response[1].get("Error", {})
        refused = refuses_time(str(error.get("Code", "")), str(error.get("Message", "")))
        return 0.0 if refused and abs(self._clock.offset_s - offset_s) >= STALE_S else None


class _Signed(dict[str, Any]):
    """The context of one request. botocore's signers put the time there (`timestamp`) and read it back for all else."""

    def __init__(self, context: dict[str, Any], clock: ServiceClock) -> None:
        super().__init__(context)
        self._clock = clock

    def __setitem__(self, name: str, value: Any) -> None:
        if name == _TIMESTAMP and self._clock.offset_s:
            value = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        super().__setitem__(name, value)
