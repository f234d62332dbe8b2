"""Credentials that expire, are refreshed, replaced, or not available."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    PartialCredentialsError,
    RefreshWithMFAUnsupportedError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from refire_async.aws.credentials import AwsCredentials
from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.providers import RefusedLookup, nothing_found
from refire_async.aws.signing import Credentials


def frozen(access_key: str, token: str | None = None) -> Any:
    return SimpleNamespace(access_key=access_key, secret_key="s", token=token)


def found(*answers: Any) -> Any:
    """Fake credentials of an aiobotocore session: each call gets the next result, later ones the last."""
    left = list(answers)

    async def get_frozen_credentials() -> Any:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return SimpleNamespace(get_frozen_credentials=get_frozen_credentials)


def loader(*results: Any) -> tuple[Callable[[], Awaitable[Any]], list[int]]:
    """A `load` that returns one result after the other, and a list that counts its calls."""
    left, calls = list(results), [0]

    async def load() -> Any:
        calls[0] += 1
        await anyio.lowlevel.checkpoint()
        result = left.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    return load, calls


async def test_refreshed_credentials_are_used() -> None:
    """The session refreshes by itself; every call returns its current credentials."""
    load, calls = loader(found(frozen("A"), frozen("B", "t")))
    source = AwsCredentials(load)
    assert await source.get() == Credentials("A", "s")
    assert await source.get() == Credentials("B", "s", "t")
    assert calls == [1]


async def test_empty_token_is_none() -> None:
    """An empty AWS_SESSION_TOKEN counts as no token."""
    load, _ = loader(found(frozen("A", "")))
    assert await AwsCredentials(load).get() == Credentials("A", "s")


async def test_many_callers_with_stale_credentials_cause_one_look_up() -> None:
    """All requests in flight fail together when a token expires; one of them renews it for all."""
    load, calls = loader(found(frozen("OLD")), found(frozen("NEW")))
    source = AwsCredentials(load)
    stale = await source.get()
    renewed: list[bool] = []

    async def renew() -> None:
        renewed.append(await source.renew(stale))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(renew)
    assert renewed == [True] * 10
    assert calls == [2]
    assert await source.get() == Credentials("NEW", "s")


async def test_unchanged_credentials_are_not_a_renewal() -> None:
    """Credentials from the environment do not change."""
    load, _ = loader(found(frozen("A")), found(frozen("A")))
    source = AwsCredentials(load)
    assert not await source.renew(await source.get())


async def test_a_failed_look_up_is_repeated() -> None:
    """The provider did not answer once; the next call succeeds."""
    load, _ = loader(found(frozen("OLD")), ConnectTimeoutError(endpoint_url="x"), found(frozen("NEW")))
    now = 0.0
    source = AwsCredentials(load, clock=lambda: now)
    stale = await source.get()
    with pytest.raises(AwsError) as caught:
        await source.renew(stale)
    assert caught.value.disposition is Disposition.RETRY
    with pytest.raises(AwsError, match="are not available"):  # a provider is not called again without a pause
        await source.get()
    now = 1.0
    assert await source.get() == Credentials("NEW", "s")


@pytest.mark.parametrize(
    ("error", "code", "disposition"),
    [
        (UnauthorizedSSOTokenError(), "LoginExpired", Disposition.FATAL),
        (SSOTokenLoadError(error_msg="no"), "LoginExpired", Disposition.FATAL),
        (TokenRetrievalError(provider="sso", error_msg="PLANTED"), "LoginExpired", Disposition.FATAL),
        (RefreshWithMFAUnsupportedError(), "LoginExpired", Disposition.FATAL),
        (PartialCredentialsError(provider="env", cred_var="K"), "PartialCredentials", Disposition.FATAL),
        (ConnectTimeoutError(endpoint_url="x"), "CredentialsUnavailable", Disposition.RETRY),
        (
            CredentialRetrievalError(provider="p", error_msg="PLANTED"),
            "CredentialsUnavailable",
            Disposition.RETRY,
        ),
        (
            ClientError({"Error": {"Code": "Throttling", "Message": "PLANTED"}}, "AssumeRole"),
            "CredentialsUnavailable",
            Disposition.RETRY,
        ),
        (
            RuntimeError("refreshed credentials are still expired"),
            "CredentialsUnavailable",
            Disposition.RETRY,
        ),
    ],
)
async def test_failures_of_providers(error: Exception, code: str, disposition: Disposition) -> None:
    """Errors that only the user can fix end the run, others are retried; no text of a provider is repeated."""
    load, _ = loader(found(error))
    with pytest.raises(AwsError) as caught:
        await AwsCredentials(load).get()
    assert (caught.value.code, caught.value.disposition) == (code, disposition)
    assert "PLANTED" not in f"{caught.value} {caught.value.detail}"


async def test_no_credentials() -> None:
    """No provider has any."""
    load, _ = loader(RefusedLookup(nothing_found("default")))
    with pytest.raises(AwsError, match="no AWS credentials found") as caught:
        await AwsCredentials(load).get()
    assert caught.value.disposition is Disposition.FATAL


@pytest.mark.parametrize(
    "odd", [frozen("A\n"), frozen("A B"), frozen("Ä"), frozen(""), frozen("A", "t\r\nHost: x")]
)
async def test_odd_characters(odd: Any) -> None:
    """A copied line end cannot be part of a header, nor add one."""
    load, _ = loader(found(odd))
    with pytest.raises(AwsError, match="copy the credentials again") as caught:
        await AwsCredentials(load).get()
    assert caught.value.disposition is Disposition.FATAL
