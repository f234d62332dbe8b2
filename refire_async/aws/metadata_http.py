"""HTTP to the servers that give credentials to a container or an instance: the same rules as for every other call.

aiobotocore's fetchers (2.25) have a session of their own, which follows redirects: the authorization token of a
container and the session token of an instance would go along.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from botocore.utils import get_environ_proxies

from refire_async.aws.botocore_http import BoundedHttp


class MetadataHttp:
    """What a fetcher of aiobotocore asks of its session: `acquire`, which opens something with `send`."""

    def __init__(self, timeout_s: float, proxies: dict[str, str] | None = None) -> None:
        """`timeout_s` bounds a whole call; `proxies` are URLs by scheme."""
        self._timeout_s = timeout_s
        self._proxies = proxies

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[BoundedHttp]:
        """Connections for one question and its repetitions."""
        async with BoundedHttp(timeout=(self._timeout_s, self._timeout_s), proxies=self._proxies) as http:
            yield http


def bound_container(provider: Any) -> None:
    """Give aiobotocore's AioContainerProvider this HTTP."""
    fetcher = provider._fetcher  # noqa: SLF001 - there is no public name; tests notice if it moves
    fetcher._session = MetadataHttp(fetcher.TIMEOUT_SECONDS)  # noqa: SLF001


def bound_instance(fetcher: Any) -> None:
    """Give a fetcher of instance metadata (a subclass of AioIMDSFetcher) this HTTP."""
    where = get_environ_proxies(fetcher._base_url)  # noqa: SLF001
    fetcher._session = MetadataHttp(fetcher._timeout, where)  # noqa: SLF001


def bound_region(core: Any) -> None:
    """Give a session's question for the region of its instance, which `defaults_mode = auto` asks, this HTTP."""
    if core.get_config_variable("defaults_mode") == "auto":
        factory = core._get_internal_component("smart_defaults_factory")  # noqa: SLF001
        bound_instance(factory._imds_region_provider._get_fetcher())  # noqa: SLF001
