"""Call the credential providers of botocore's chain one after the other, so that an error names its provider.

A provider may raise any exception: it runs a program, reads files and parses answers, and botocore passes its errors on
(2.25: FileNotFoundError, JSONDecodeError, KeyError, EOFError and more). This module translates all of them to a
`Refusal`.
"""

import asyncio
import getpass
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiobotocore.session import AioSession
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    CredentialRetrievalError,
    InvalidConfigError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
    UnknownCredentialError,
)

from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.metadata_http import bound_container, bound_instance

PROCESS_S = 60.0
"""Timeout (s) of a credential process, that of the AWS SDK for Go (processcreds.DefaultTimeout)."""

_CONFIGURATION = (
    ConfigNotFound,
    ConfigParseError,
    InvalidConfigError,
    NoRegionError,
    ProfileNotFound,
    UnknownCredentialError,
)
"""Errors whose messages contain only the user's configuration: names of profiles, settings and files."""

_LOGIN_OVER = (SSOError, TokenRetrievalError, NoAuthTokenError, RefreshWithMFAUnsupportedError)

# By the METHOD of botocore's provider classes (botocore/credentials.py): a name for messages, and what to check.
_PROVIDERS: dict[str, tuple[str, str]] = {
    "env": ("environment variables", "check AWS_ACCESS_KEY_ID and its companions, or unset them"),
    "assume-role": ("assume role", "check role_arn and the source of the profile"),
    "assume-role-with-web-identity": (
        "web identity",
        "check AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, or web_identity_token_file and role_arn of the profile",
    ),
    "sso": ("SSO", "check the network and sso_region of the profile, or log in again (`aws sso login`)"),
    "login": ("aws login", "check the network, or log in again (`aws login`)"),
    "shared-credentials-file": ("shared credentials file", "correct the profile in that file"),
    "config-file": ("config file", "correct the profile in that file"),
    "custom-process": ("credential_process", "run the credential_process of the profile by hand"),
    "ec2-credentials-file": ("AWS_CREDENTIAL_FILE", "correct that file or unset the variable"),
    "boto-config": ("boto config file", "correct that file"),
    "container-role": (
        "container endpoint",
        "check AWS_CONTAINER_CREDENTIALS_FULL_URI (or …_RELATIVE_URI), its authorization token, and the server there",
    ),
    "iam-role": ("instance metadata", "check the role of the instance and its metadata service"),
}

_SILENCED_LOGGERS = (
    "aiobotocore.credentials",
    "aiobotocore.tokens",
    "botocore.credentials",
    "botocore.tokens",
)
"""Loggers that report, with a traceback, the same errors as a Refusal."""

_URL = re.compile(r"https?://(?:[^/@\s]*@)?([^/?#\"\s]+)")
_FIELD = re.compile(r"[A-Za-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there are no credentials at present. Safe to log: it contains no text of a provider."""

    code: str
    message: str
    action: str
    disposition: Disposition

    def error(self) -> AwsError:
        """A new error each time, because many tasks may wait for the same credentials."""
        return AwsError(self.code, self.message, self.disposition, action=self.action)


class RefusedCredentialsError(BotoCoreError):  # type: ignore[misc] # untyped base
    """A Refusal that passes through botocore, which requests credentials when it signs."""

    fmt = "no credentials"

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


class RefusedLookup(Exception):  # noqa: N818 - it contains the error, and users do not see it
    """A Refusal, raised to the caller that looks credentials up."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Chain:
    """The credential providers of a session, and their profile."""

    def __init__(self, core: AioSession, *, prompt: bool) -> None:
        """`prompt`: whether the terminal may prompt for an MFA code."""
        self._core = core
        self._prompt = prompt
        self.asked_for_code = False
        """Whether an MFA code was typed."""
        for name in _SILENCED_LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)

    @property
    def profile(self) -> str:
        """The name of the profile."""
        return profile_of(self._core)

    async def load(self) -> Any:
        """The credentials of the first provider that has any. Raises RefusedLookup."""
        method = ""
        try:
            resolver = self._core.get_component("credential_provider")
            _restrict(resolver, self._code)
            for provider in resolver.providers:
                method = provider.METHOD
                found = await provider.load()
                if found is not None:
                    return found
        except Exception as error:  # see the module's docstring
            raise RefusedLookup(refusal(error, self.profile, method)) from error
        raise RefusedLookup(nothing_found(self.profile))

    def _code(self, text: str) -> str:
        code = _prompt_for_code(text) if self._prompt else _no_prompt(text)
        self.asked_for_code = True
        return code


def profile_of(core: AioSession) -> str:
    """The name of the profile that a session uses."""
    return str(core.get_config_variable("profile") or "default")


def of_provider(profile: str, method: str | None) -> str:
    """` of profile NAME from PROVIDER`. `method` is the METHOD of botocore's provider; "" or None: unknown."""
    name, _ = _provider(method)
    return f" of profile {profile} from {name}"


def _provider(method: str | None) -> tuple[str, str]:
    return _PROVIDERS.get(method or "", (method or "the AWS configuration", "correct it"))


def refusal(error: Exception, profile: str, method: str | None) -> Refusal:
    """The Refusal for `error`, raised by the provider with this METHOD ("" or None: unknown)."""
    (_, action), of = _provider(method), of_provider(profile, method)
    code, disposition = "CredentialsUnavailable", Disposition.RETRY
    unreadable_login = method == "sso" and isinstance(error, LookupError | ValueError) and not _lacks(error)
    match error:
        case MfaError():
            code, disposition, why = "MfaRequired", Disposition.FATAL, str(error)
            action = "get a session with `aws sts assume-role` first, or use a profile that needs no MFA code"
        case _ if isinstance(error, _LOGIN_OVER) or unreadable_login:
            return Refusal(
                "LoginExpired",
                f"the AWS login{of} has expired or does not exist",
                f"log in again (`aws {'login' if method == 'login' else 'sso login'}`) or choose another --profile",
                Disposition.FATAL,
            )
        case PartialCredentialsError():
            code, disposition, why = "PartialCredentials", Disposition.FATAL, _missing(error)
        case NoCredentialsError():
            return nothing_found(profile)
        case _ if isinstance(error, _CONFIGURATION):
            code, disposition = "CredentialsConfiguration", Disposition.FATAL
            why, action = _one_line(error), "correct ~/.aws/config or the AWS_ environment variables"
        case _:
            why = _why(error)
    return Refusal(code, f"AWS credentials{of} are not available ({why})", action, disposition)


def nothing_found(profile: str) -> Refusal:
    """No provider has credentials."""
    return Refusal(
        "NoCredentials",
        f"no AWS credentials found for profile {profile} (environment, ~/.aws and instance metadata have none)",
        "log in (`aws sso login`), choose a --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        Disposition.FATAL,
    )


def gone(profile: str) -> Refusal:
    """There were credentials, and now no provider has any, which may be temporary."""
    return Refusal(
        "CredentialsUnavailable",
        f"AWS credentials of profile {profile} are not available (no provider has any now)",
        "log in again (`aws sso login`), or find out why with `aws sts get-caller-identity`",
        Disposition.RETRY,
    )


def malformed(profile: str, method: str | None) -> Refusal:
    """The Refusal for credentials that cannot sign a request."""
    return Refusal(
        "MalformedCredentials",
        f"the AWS access key or session token{of_provider(profile, method)} is empty or contains blanks or line ends",
        "copy the credentials again",
        Disposition.FATAL,
    )


def _why(error: Exception) -> str:
    """The reason, without text of the provider: the output of a process or a server may contain anything."""
    why = type(error).__name__
    match error:
        case ClientError():
            why = str(error.response.get("Error", {}).get("Code", why))
        case CredentialRetrievalError() | MetadataRetrievalError():
            why = "it failed or returned none"
        case BotoCoreError() if host := host_of(error):  # some of these are OSErrors too
            why = f"{why} at {host}"
        case TimeoutError():
            why = f"no answer within {PROCESS_S:.0f} s"
        case OSError():
            at = f": {error.filename}" if isinstance(error.filename, str | os.PathLike) else ""
            why = _one_line(f"{error.strerror or why}{at}")
        case UnicodeError():
            why = "the value is not text"
        case KeyError() if field := _lacks(error):
            why = f"the answer lacks {field}"
        case ValueError() | KeyError() | TypeError() | AttributeError():
            why = "the values are not credentials"
        case RuntimeError():  # botocore raises it for "refreshed, but still expired"
            why = "the credentials have expired"
    return why


def _lacks(error: Exception) -> str:
    """The missing member of an answer that `error` names; "" for another error."""
    name = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    return name if _FIELD.fullmatch(name) else ""


def host_of(error: Exception) -> str:
    """The host of the failed botocore request; "" if `error` does not contain it."""
    if not isinstance(error, BotoCoreError) or isinstance(
        error, ProxyConnectionError
    ):  # that one names the proxy
        return ""
    found = _URL.search(getattr(error, "kwargs", {}).get("endpoint_url") or str(error))
    return found[1] if found else ""


def _missing(error: PartialCredentialsError) -> str:
    return f"{getattr(error, 'kwargs', {}).get('cred_var', 'a part')} is missing"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


class MfaError(Exception):
    """An MFA code is needed, and there is no terminal for a prompt."""


def _restrict(resolver: Any, prompter: Callable[[str], str]) -> None:
    """Prevent providers from following redirects and from reading standard input, which may be a list of keys.

    Without this, one provider prompts for MFA codes without a terminal, one passes standard input to the credential
    process and waits for it without a timeout, and two follow redirects. The attributes are private; tests fail if they
    move.
    """
    assume_role = resolver.get_provider("assume-role")
    assume_role._prompter = prompter  # noqa: SLF001
    builder = assume_role._profile_provider_builder  # noqa: SLF001
    make = builder._create_process_provider  # noqa: SLF001

    def make_restricted(profile_name: str) -> Any:
        provider = make(profile_name)
        provider._popen = _start  # noqa: SLF001
        return provider

    builder._create_process_provider = make_restricted  # noqa: SLF001
    resolver.get_provider("custom-process")._popen = _start  # noqa: SLF001
    # The same providers serve `credential_source` of a role.
    bound_container(resolver.get_provider("container-role"))
    bound_instance(resolver.get_provider("iam-role")._role_fetcher)  # noqa: SLF001


def _no_prompt(_text: str) -> str:
    raise MfaError("it needs an MFA code, which is requested only once, before a run begins")


def _prompt_for_code(text: str) -> str:
    if sys.platform == "win32":  # pragma: no cover - getpass reads from the console there
        if not sys.stdin.isatty():
            raise MfaError("it needs an MFA code, and there is no terminal to enter it")
    else:
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            raise MfaError("it needs an MFA code, and there is no terminal to enter it") from None
    return getpass.getpass(text)


class _Process:
    """A credential process with a timeout."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        """Output and error output. Raises TimeoutError; the process has ended in any case."""
        try:
            async with asyncio.timeout(PROCESS_S):
                return await self._process.communicate()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()


async def _start(*command: str, **options: Any) -> _Process:
    stdin = None if sys.stdin is not None and sys.stdin.isatty() else subprocess.DEVNULL
    return _Process(await asyncio.create_subprocess_exec(*command, stdin=stdin, **options))
