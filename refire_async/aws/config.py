"""The AWS side of a session: configuration and credentials from the usual places, clients with TLS verified."""

import inspect
import os
from typing import Any

import aioboto3
import aiobotocore
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import NoRegionError, ProfileNotFound

from refire_async.aws.botocore_http import BoundedHttp
from refire_async.aws.clock import ServiceClock
from refire_async.aws.credentials import AwsCredentials, ClientCredentials
from refire_async.aws.metadata_http import bound_region
from refire_async.aws.parsing import StrictParserFactory
from refire_async.aws.providers import Chain, RefusedCredentialsError, profile_of
from refire_async.aws.service_time import ServiceTime
from refire_async.errors import RefireError, RefusedError, UsageError
from refire_async.settings import Connection

# An endpoint that does not answer is reported after 3 x 1.5 s and two short pauses.
_CONNECT_S = 1.5
_READ_S = 10.0
_ATTEMPTS = 3


class AwsSession:
    """Finds region, credentials and endpoints as the AWS command line does. Raises botocore's errors."""

    def __init__(self, connection: Connection, clock: ServiceClock | None = None) -> None:
        """Every client signs by `clock`, which learns the service's time from their answers."""
        require_verified_tls()
        self._connection = connection
        self._time = ServiceTime(clock or ServiceClock())
        # The command line and other SDKs read AWS_REGION; botocore does not.
        self._region = connection.region or os.environ.get("AWS_REGION") or None
        core = self._core()
        # AWS_CA_BUNDLE, the profile's ca_bundle, or what botocore's EndpointCreator looks for then.
        self.ca_bundle: str | None = core.get_config_variable("ca_bundle") or os.environ.get(
            "REQUESTS_CA_BUNDLE"
        )
        self.region: str | None = self._region or core.get_config_variable("region")
        self.profile: str | None = core.profile
        self._ignores_configured = bool(core.get_config_variable("ignore_configured_endpoint_urls"))
        self.credentials = AwsCredentials(self._look_up, profile_of(core))
        # Whatever a client asks for, it signs with the same credentials as the data plane, and fails as that does.
        core.register_component("credential_provider", _OneSource(self.credentials))
        self._session = aioboto3.Session(botocore_session=core, region_name=self._region)
        self._may_prompt = True

    def _core(self) -> AioSession:
        core = AioSession(profile=self._connection.profile)
        core.set_default_client_config(_Config())
        core.register_component("response_parser_factory", StrictParserFactory())
        if self._region is not None:
            core.set_config_variable("region", self._region)
        bound_region(core)
        self._time.attach(core)
        return core

    async def _look_up(self) -> Any:
        """Credentials of a new session, which looks in all places again. Raises RefusedLookup."""
        prompt, self._may_prompt = self._may_prompt, False
        return await Chain(self._core(), prompt=prompt).load()

    def client(self, service: str, endpoint_url: str | None = None) -> Any:
        """A client of this session, to be used as `async with`. No URL: the endpoint that is configured, or AWS's."""
        return self._session.client(service, endpoint_url=endpoint_url)

    def configured_endpoint(self, service: str, *, alone: bool = False) -> str | None:
        """The endpoint that environment (AWS_ENDPOINT_URL_…) or profile sets for this service, None if there is none.

        `alone`: only one that is set for this service by name.
        """
        if self._ignores_configured:
            return None
        core, environment = self._core(), dict(os.environ)
        profile = dict(core.get_scoped_config())
        if alone:
            environment.pop("AWS_ENDPOINT_URL", None)
            profile.pop("endpoint_url", None)
        where: str | None = ConfiguredEndpointProvider(
            core.full_config, profile, service, environment
        ).provide()
        return where


class _OneSource:
    """In the place of a session's own providers."""

    def __init__(self, source: AwsCredentials) -> None:
        self._credentials = ClientCredentials(source)

    async def load_credentials(self) -> ClientCredentials:
        return self._credentials


def bad_configuration(error: Exception) -> RefireError:
    """What to tell the user when a session or client cannot be made."""
    match error:
        case RefusedCredentialsError():
            return RefusedError(error.refusal.message, error.refusal.action)
        case ProfileNotFound():
            return RefusedError(str(error), "choose another --profile (`aws configure list-profiles`)")
        case NoRegionError():
            return RefusedError(
                "no AWS region is set", "give --region, or set AWS_REGION or a region in the profile"
            )
        case _:
            said = " ".join(str(error).split())
            return UsageError(
                f"AWS configuration cannot be used: {said}",
                "correct --region, the AWS_ environment variables or ~/.aws/config",
            )


def require_verified_tls(config: Any = AioConfig) -> None:
    """Nothing is connected by a version of aiobotocore that would not use our HTTP session, which verifies TLS.

    `config` is aiobotocore's class of client configurations. Raises RefusedError.
    """
    takes_class = "http_session_cls" in inspect.signature(config.__init__).parameters
    if not takes_class or _Config().merge(AioConfig()).http_session_cls is not BoundedHttp:
        raise RefusedError(
            f"aiobotocore {aiobotocore.__version__} cannot be used: certificates would not be verified",
            "install the versions that refire-async asks for: pip install --upgrade refire-async",
        )


class _Config(AioConfig):  # type: ignore[misc] # untyped base
    """Default configuration of every client of a session: ours, and those that fetch credentials."""

    def __init__(self) -> None:
        super().__init__(
            http_session_cls=BoundedHttp,
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        )

    def merge(self, other_config: Any) -> Any:
        """As AioConfig, which forgets the class of the HTTP session."""
        merged = super().merge(other_config)
        merged.http_session_cls = self.http_session_cls
        return merged
