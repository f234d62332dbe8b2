"""HTTP to the credential servers of containers and instances, with the same rules as for every other call.

The fetchers of aiobotocore (2.25) have their own session, which follows redirects and would send the authorization
token of a container or the session token of an instance to the redirect's target.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from botocore.utils import get_environ_proxies

from refire_async.aws.botocore_http import BoundedHttp


class MetadataHttp:
    """The session interface of an aiobotocore fetcher: `acquire` opens an object with `send`."""

    def __init__(self, timeout_s: float, proxies: dict[str, str] | None = None) -> None:
        """`timeout_s` limits a whole call; `proxies` are URLs by scheme."""
        self._timeout_s = timeout_s
        self._proxies = proxies

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[BoundedHttp]:
        """Connections for one request and its retries."""
        async with BoundedHttp(timeout=(self._timeout_s, self._timeout_s), proxies=self._proxies) as http:
            yield http


def bound_container(provider: Any) -> None:
    """Use this HTTP in aiobotocore's AioContainerProvider."""
    fetcher = provider._fetcher  # noqa: SLF001 - no public name; tests fail if it moves
    fetcher._session = MetadataHttp(fetcher.TIMEOUT_SECONDS)  # noqa: SLF001


def bound_instance(fetcher: Any) -> None:
    """Use this HTTP in a fetcher of instance metadata (a subclass of AioIMDSFetcher)."""
    where = get_environ_proxies(fetcher._base_url)  # noqa: SLF001
    fetcher._session = MetadataHttp(fetcher._timeout, where)  # noqa: SLF001


def bound_region(core: Any) -> None:
    """Use this HTTP for the region of the instance, which a session requests with `defaults_mode = auto`."""
    if core.get_config_variable("defaults_mode") == "auto":
        factory = core._get_internal_component("smart_defaults_factory")  # noqa: SLF001
        bound_instance(factory._imds_region_provider._get_fetcher())  # noqa: SLF001
