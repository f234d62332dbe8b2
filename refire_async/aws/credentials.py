"""Credentials that may expire and be replaced during a run."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from botocore.credentials import ReadOnlyCredentials

from refire_async.aws.errors import AwsError
from refire_async.aws.providers import (
    Refusal,
    RefusedCredentialsError,
    RefusedLookup,
    gone,
    malformed,
    of_provider,
    refusal,
)
from refire_async.aws.signing import Credentials

_VALID_S = 60
"""Credentials that are valid for this much longer (s) are used while new ones are requested."""

_REFRESH_EVERY_S = 10.0
"""Shortest time (s) between two requests for new ones, because each may start a process or call a server."""
_HOLD_S = 1.0
"""How long (s) a failure is returned to further callers, because each request may start a process or call a server."""


class CredentialSource(Protocol):
    """Supplies credentials for signatures. Both methods are cheap if there is nothing to do."""

    @property
    def owner(self) -> str:
        """A description to follow a noun, for example ` of profile default from SSO`; "" if unknown."""
        ...

    async def get(self) -> Credentials:
        """The current credentials, refreshed if they are about to expire.

        Raises:
            AwsError: RETRY if there are none at present, FATAL if the user has to log in.
        """
        ...

    async def renew(self, stale: Credentials) -> bool:
        """Replace `stale`, which the service calls expired. Returns whether there are other ones. Raises as `get`."""
        ...


class AwsCredentials:
    """Credentials of an AWS session. `load` looks them up again, as a new session would.

    A new look-up, unlike a refresh, also finds changes by the user: a new login, another key in the credentials file.
    At most one look-up runs at a time for all callers, and while the earlier credentials are valid, no caller waits for
    it.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Any]],
        profile: str = "default",
        clock: Callable[[], float] = time.monotonic,
        first: Credentials | None = None,
    ) -> None:
        """`load` returns credentials of aiobotocore, or raises RefusedLookup. `profile` is for messages."""
        self._load = load
        self._profile = profile
        self._clock = clock
        self._found: Any = None if first is None else _Given(first)
        self._frozen: Any = None
        self._asked_at = -math.inf
        self._refused: Refusal | None = None
        self._asking: asyncio.Task[Any] | None = None
        self._lock = asyncio.Lock()

    @property
    def owner(self) -> str:
        """See CredentialSource."""
        return of_provider(self._profile, getattr(self._found, "method", None))

    async def get(self) -> Credentials:
        """See CredentialSource."""
        frozen = await self.frozen()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token or None)

    async def frozen(self) -> Any:
        """The credentials as botocore's frozen credentials, with the account id if known. Raises as `get`."""
        waited_s = self._clock() - self._asked_at
        if self._good_for_a_while() and (self._asking is not None or waited_s < _REFRESH_EVERY_S):
            return self._frozen
        if self._asking is None:
            if self._refused is not None and waited_s < _HOLD_S:
                raise self._refused.error()
            self._asked_at = self._clock()
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        if self._good_for_a_while():
            return self._frozen
        outcome = await asyncio.shield(self._asking)
        if isinstance(outcome, Refusal):
            raise outcome.error()
        return outcome

    async def renew(self, stale: Credentials) -> bool:
        """See CredentialSource. Of many callers with the same stale credentials only one looks others up."""
        async with self._lock:
            if await self.get() != stale:
                return True
            self._found = self._refused = None
            return await self.get() != stale

    async def close(self) -> None:
        """Cancel a look-up in progress."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait((self._asking,))

    def _good_for_a_while(self) -> bool:
        """Whether the credentials should be refreshed but are still valid."""
        ask = getattr(self._found, "refresh_needed", None)
        return self._frozen is not None and ask is not None and bool(ask()) and not ask(_VALID_S)

    def _asked(self, task: asyncio.Task[Any]) -> None:
        self._asking = None
        outcome = None if task.cancelled() else task.result()
        self._refused = outcome if isinstance(outcome, Refusal) else None

    async def _ask(self) -> Any:
        """Frozen credentials, or a Refusal."""
        method = None
        try:
            if self._found is None:
                self._found = await self._load()
            method = getattr(self._found, "method", None)
            frozen = await self._found.get_frozen_credentials()
        except RefusedLookup as error:
            had_some = error.refusal.code == "NoCredentials" and self._frozen is not None
            return gone(self._profile) if had_some else error.refusal
        except Exception as error:  # noqa: BLE001 - a provider raises anything: see `providers`
            return refusal(error, self._profile, method)
        if not _fits_headers(frozen):
            return malformed(self._profile, method)
        self._frozen = frozen
        return frozen


class _Given:
    """Credentials from another process, as aiobotocore has them. They last until the service calls them expired."""

    def __init__(self, credentials: Credentials) -> None:
        self._frozen = ReadOnlyCredentials(credentials.access_key, credentials.secret_key, credentials.token)

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return self._frozen


class ClientCredentials:
    """AwsCredentials with the interface of aiobotocore's clients, which then sign with the same credentials."""

    method = "refire"

    def __init__(self, source: AwsCredentials) -> None:
        self._source = source

    async def get_frozen_credentials(self) -> Any:
        """Raises RefusedCredentialsError."""
        try:
            return await self._source.frozen()
        except AwsError as error:
            raise RefusedCredentialsError(
                Refusal(error.code, error.message, error.action, error.disposition)
            ) from error

    async def get_account_id(self) -> str | None:
        """The account id, for account-based endpoints; None if unknown."""
        account: str | None = getattr(await self.get_frozen_credentials(), "account_id", None)
        return account

    def get_deferred_property(self, _name: str) -> Callable[[], Awaitable[str | None]]:
        """Returns the function that botocore calls when it first needs the account id."""
        return self.get_account_id


def _fits_headers(frozen: Any) -> bool:
    """Whether a header can contain them: no line ends and blanks, for example from copying into a file."""
    shown = (frozen.access_key, frozen.token or "none")
    return (
        all(isinstance(part, str) and part for part in (*shown, frozen.secret_key))
        and all(part.isascii() and part.isprintable() and " " not in part for part in shown)
        and "\n" not in frozen.secret_key
    )
