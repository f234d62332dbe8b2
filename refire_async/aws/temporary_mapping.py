"""A temporary event source mapping on an alias of its own: made, looked at, and taken away.

The alias is there because a function has at most one mapping per stream at each of its qualifiers; on it, the temporary
mapping stands beside the original, which nothing here touches.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from collections.abc import Mapping as Members
from typing import Any, TypeVar

import anyio
from botocore.exceptions import ClientError

from refire_async.aws.event_source_mappings import Mapping, ask_mappings, parse_mapping
from refire_async.aws.http_backend import CALL_S
from refire_async.aws.other_services import Services, UnansweredError
from refire_async.errors import RefusedError, StoppedError

T = TypeVar("T")

PREFIX = "refire-"
_LONGEST_ID = 40
"""Of a run id in an alias: NAME:ALIAS has at most 140 characters (Lambda API reference: CreateEventSourceMapping)."""

GONE_S = 300.0
"""How long the deletion of a mapping may take (s); the service needs a minute or two."""

TRY_S = 90.0
"""How long a request is repeated (s) that the service puts off."""

_LATER = frozenset((
    "ResourceInUseException", "TooManyRequestsException", "ServiceException", "ThrottlingException",
    "ServiceUnavailableException", "InternalFailure",
))  # fmt: skip
_MISSING = "ResourceNotFoundException"
_CONFLICT = "ResourceConflictException"
_MOST_DELAY_S = 15.0


class RefusedCallError(Exception):
    """Lambda refused a request with this code; the text is its message, in one line."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def alias_name(run_id: str) -> str:
    """The alias of a delivery: letters, digits, - and _ (Lambda API reference: CreateAlias). Distinct per run id."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", run_id)[:_LONGEST_ID]
    if name != run_id:
        name += f"-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
    return PREFIX + name


def is_temporary(mapping: Mapping) -> bool:
    """Whether a delivery made this mapping: then its settings are no original's."""
    return (
        (mapping.qualifier or "").startswith(PREFIX)
        and mapping.starting_position == "TRIM_HORIZON"
        and any("ApproximateCreationDateTime" in pattern for pattern in mapping.filters or ())
    )


class MappingPlane:
    """The alias `alias` of `function` (a name), and the mapping of `stream_arn` on it."""

    def __init__(self, services: Services, function: str, alias: str, stream_arn: str) -> None:
        self._services = services
        self._function = function
        self._alias = alias
        self._stream_arn = stream_arn

    async def make_alias(self, version: str, description: str) -> None:
        """Make the alias unless an earlier attempt has. Raises RefusedError or StoppedError."""
        request = {
            "FunctionName": self._function,
            "Name": self._alias,
            "FunctionVersion": version,
            "Description": description,
        }
        try:
            await self._call("create_alias", request)
        except RefusedCallError as error:
            if error.code != _CONFLICT:
                raise _refused("the alias", "lambda:CreateAlias", error) from error

    async def make_mapping(self, settings: Members[str, Any]) -> Mapping:
        """Make the mapping, or find that an earlier attempt has. Raises RefusedError or StoppedError."""
        request = {
            **settings,
            "EventSourceArn": self._stream_arn,
            "FunctionName": f"{self._function}:{self._alias}",
            "StartingPosition": "TRIM_HORIZON",
            "MetricsConfig": {"Metrics": ["EventCount"]},
        }
        try:
            # A new alias is not known everywhere at once.
            return parse_mapping(
                await self._call("create_event_source_mapping", request, later=_LATER | {_MISSING})
            )
        except RefusedCallError as error:
            found = await self.find() if error.code == _CONFLICT else None
            if found is None:
                action = "lambda:CreateEventSourceMapping"
                raise _refused("the event source mapping", action, error) from error
            return found

    async def find(self) -> Mapping | None:
        """The mapping on the alias, also one that is being deleted. Raises StoppedError."""

        async def ask() -> Mapping | None:
            mappings = await ask_mappings(self._services, self._stream_arn, CALL_S)
            wanted = (self._function, self._alias)
            return next((one for one in mappings if (one.name, one.qualifier) == wanted), None)

        return await _answered(ask)

    async def ask(self, uuid: str) -> Mapping | None:
        """The mapping as it is now, None if it is gone. Raises StoppedError or RefusedError."""
        try:
            return parse_mapping(await self._call("get_event_source_mapping", {"UUID": uuid}))
        except RefusedCallError as error:
            if error.code == _MISSING:
                return None
            raise _refused("the event source mapping", "lambda:GetEventSourceMapping", error) from error

    async def take_away(self, reached: Callable[[str], None]) -> None:
        """Delete mapping and alias, as far as they exist, and wait until they are gone.

        Calls `reached` with a failpoint's name after each.

        Raises StoppedError or RefusedError: something is still there.
        """
        found = await self.find()
        if found is not None:
            await self._delete_mapping(found.uuid)
        reached("mapping-deleted")
        await self._delete("delete_alias", {"FunctionName": self._function, "Name": self._alias})
        reached("alias-deleted")

    async def _delete_mapping(self, uuid: str) -> None:
        await self._delete("delete_event_source_mapping", {"UUID": uuid})
        try:
            with anyio.fail_after(GONE_S):
                while await self.ask(uuid) is not None:  # noqa: ASYNC110 - Lambda sends no event
                    await anyio.sleep(2.0)
        except TimeoutError:
            raise StoppedError(
                f"Lambda has not deleted event source mapping {uuid} within {GONE_S:.0f} s", "try again later"
            ) from None

    async def _delete(self, method: str, request: dict[str, Any]) -> None:
        try:
            await self._call(method, request)
        except RefusedCallError as error:
            if error.code != _MISSING:
                action = f"lambda:{''.join(word.capitalize() for word in method.split('_'))}"
                raise _refused("what the delivery made", action, error) from error

    async def _call(
        self, method: str, request: dict[str, Any], *, later: frozenset[str] = _LATER
    ) -> dict[str, Any]:
        """One request, repeated while Lambda puts it off. Raises RefusedCallError or StoppedError."""

        async def ask() -> dict[str, Any]:
            async with self._services.open("lambda", CALL_S) as client:
                try:
                    answer: dict[str, Any] = await getattr(client, method)(**request)
                except ClientError as error:
                    raise _parse(error) from error
                return answer

        return await _answered(ask, later)


async def _answered(ask: Callable[[], Awaitable[T]], later: frozenset[str] = _LATER) -> T:
    """The answer of `ask`, repeated for up to `TRY_S`. Raises RefusedCallError or StoppedError."""
    until, delay_s = anyio.current_time() + TRY_S, 1.0
    while True:
        late = anyio.current_time() >= until
        try:
            return await ask()
        except RefusedCallError as error:
            if late or error.code not in later:
                raise
        except UnansweredError as error:
            if late:
                raise StoppedError(str(error), "check the network and permissions") from error
        await anyio.sleep(delay_s)
        delay_s = min(2 * delay_s, _MOST_DELAY_S)


def _parse(error: ClientError) -> RefusedCallError:
    said = error.response.get("Error", {})
    text = " ".join(str(said.get("Message") or said.get("Code", "")).split())
    return RefusedCallError(str(said.get("Code", "")), text)


def _refused(what: str, action: str, error: RefusedCallError) -> RefusedError:
    denied = error.code in ("AccessDeniedException", "AccessDenied")
    return RefusedError(
        f"Lambda refused {action.partition(':')[2]} for {what}: {error} ({error.code})",
        f"allow {action} (`refire iam-policy --how mapping`)"
        if denied
        else "correct it, or use --how direct",
    )
