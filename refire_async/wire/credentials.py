"""Who signs: credentials that may expire and be replaced while a run goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from refire_async.wire.errors import Disposition, WireError
from refire_async.wire.foreign import from_credentials, no_credentials
from refire_async.wire.signing import Credentials


class CredentialSource(Protocol):
    """Gives credentials to sign with. Both methods are cheap where there is nothing to do."""

    async def get(self) -> Credentials:
        """The present credentials, refreshed where they are about to expire.

        Raises WireError: RETRY if they cannot be had right now, FATAL if the user has to log in.
        """
        ...

    async def renew(self, stale: Credentials) -> bool:
        """The service calls `stale` expired: whether there are others now. Raises as `get`."""
        ...


class AwsCredentials:
    """Credentials of an AWS session. `load` looks them up anew, the way a new session would.

    Looking up anew, rather than refreshing, also finds what the user has changed meanwhile: a new login, another
    key in the credentials file.
    """

    def __init__(self, load: Callable[[], Awaitable[Any]]) -> None:
        self._load = load
        self._found: Any = None
        self._lock = asyncio.Lock()

    async def get(self) -> Credentials:
        """See CredentialSource."""
        try:
            if self._found is None:
                self._found = await self._load()
            if self._found is None:
                raise no_credentials()
            frozen = await self._found.get_frozen_credentials()
        except (BotoCoreError, ClientError, RuntimeError) as error:
            # RuntimeError is botocore's word for "refreshed, but still expired".
            raise from_credentials(error) from error
        return _checked(frozen)

    async def renew(self, stale: Credentials) -> bool:
        """See CredentialSource. Of many callers with the same stale credentials one does the work."""
        async with self._lock:
            if await self.get() != stale:
                return True
            self._found = None
            return await self.get() != stale


def _checked(frozen: Any) -> Credentials:
    """Refuse what no header can carry: line ends and blanks, from sloppy copying into a variable or file."""
    credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token or None)
    for part in (credentials.access_key, credentials.token or "none"):
        if not part or not part.isascii() or not part.isprintable() or " " in part:
            raise WireError(
                "MalformedCredentials",
                "the AWS access key or session token is empty or holds blanks or line ends",
                Disposition.FATAL,
                action="copy the credentials again",
            )
    return credentials
