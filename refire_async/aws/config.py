"""The AWS configuration of a session: region, profile, credentials, endpoints, and clients with verified TLS."""

import inspect
import os
from typing import Any

import aioboto3
import aiobotocore
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import BotoCoreError, NoRegionError, ProfileNotFound

from refire_async.aws.botocore_http import BoundedHttp
from refire_async.aws.clock import ServiceClock
from refire_async.aws.credentials import AwsCredentials, ClientCredentials
from refire_async.aws.metadata_http import bound_region
from refire_async.aws.parsing import StrictParserFactory
from refire_async.aws.providers import Chain, RefusedCredentialsError, profile_of
from refire_async.aws.service_time import ServiceTime
from refire_async.aws.signing import Credentials
from refire_async.errors import RefireError, RefusedError, UsageError
from refire_async.settings import Connection

# An endpoint that does not answer is reported after 3 x 1.5 s and two short pauses.
_CONNECT_S = 1.5
_READ_S = 10.0
_ATTEMPTS = 3


class AwsSession:
    """Finds region, credentials and endpoints as the AWS CLI does. Raises botocore's errors."""

    def __init__(
        self,
        connection: Connection,
        clock: ServiceClock | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """Every client signs by `clock`, which learns the service's time from their answers.

        `credentials` of a parent process are used as long as the service takes them. Then others are looked up, without
        a question for an MFA code.
        """
        require_verified_tls()
        self._connection = connection
        self._time = ServiceTime(clock or ServiceClock())
        # The AWS CLI and other SDKs read AWS_REGION; botocore does not.
        self._region = connection.region or os.environ.get("AWS_REGION") or None
        core = self._core()
        # AWS_CA_BUNDLE, the profile's ca_bundle, or the variable that botocore's EndpointCreator reads then.
        self.ca_bundle: str | None = core.get_config_variable("ca_bundle") or os.environ.get(
            "REQUESTS_CA_BUNDLE"
        )
        self.region: str | None = self._region or core.get_config_variable("region")
        self.profile: str | None = core.profile
        self._ignores_configured = bool(core.get_config_variable("ignore_configured_endpoint_urls"))
        self.credentials = AwsCredentials(self._look_up, profile_of(core), first=credentials)
        # Every client signs with the credentials of the data plane, and fails with the same errors.
        core.register_component("credential_provider", _OneSource(self.credentials))
        self._session = aioboto3.Session(botocore_session=core, region_name=self._region)
        self._may_prompt = credentials is None
        self._first_chain: Chain | None = None

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
        """Credentials of a new session, which asks all providers again. Raises RefusedLookup."""
        chain = Chain(self._core(), prompt=self._may_prompt)
        if self._may_prompt:
            self._may_prompt, self._first_chain = False, chain
        return await chain.load()

    @property
    def asked_for_code(self) -> bool:
        """Whether an MFA code was typed for the credentials; known once they have been used."""
        return self._first_chain is not None and self._first_chain.asked_for_code

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


def configured(connection: Connection) -> Connection:
    """`connection` with its open values filled in from the environment and the AWS configuration. Sends no request.

    A value stays None if these do not set it: no region, only the default profile, AWS's own endpoint. A profile in the
    environment is ignored next to access keys in the environment, because botocore then uses the keys. An invalid
    configuration, such as an unknown profile, fills in nothing; opening a session with it raises the error.
    """
    try:
        aws = AwsSession(connection)
        endpoint = connection.endpoint_url or aws.configured_endpoint("dynamodb")
    except (BotoCoreError, ValueError):
        return connection
    profile = connection.profile or (None if _has_keys() else aws.profile)
    return Connection(region=aws.region, profile=profile, endpoint_url=endpoint)


def _has_keys() -> bool:
    return bool(os.environ.get("AWS_ACCESS_KEY_ID"))


class _OneSource:
    """Replaces the credential providers of a session."""

    def __init__(self, source: AwsCredentials) -> None:
        self._credentials = ClientCredentials(source)

    async def load_credentials(self) -> ClientCredentials:
        return self._credentials


def bad_configuration(error: Exception) -> RefireError:
    """The error to show when a session or client cannot be created."""
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
            text = " ".join(str(error).split())
            return UsageError(
                f"AWS configuration cannot be used: {text}",
                "correct --region, the AWS_ environment variables or ~/.aws/config",
            )


def require_verified_tls(config: Any = AioConfig) -> None:
    """Check that the installed aiobotocore uses our HTTP session, which verifies TLS.

    `config` is aiobotocore's class of client configurations.

    Raises:
        RefusedError: it does not.
    """
    takes_class = "http_session_cls" in inspect.signature(config.__init__).parameters
    if not takes_class or _Config().merge(AioConfig()).http_session_cls is not BoundedHttp:
        raise RefusedError(
            f"aiobotocore {aiobotocore.__version__} cannot be used: certificates would not be verified",
            "install the versions that refire-async asks for: pip install --upgrade refire-async",
        )


class _Config(AioConfig):  # type: ignore[misc] # untyped base
    """Default configuration of every client of a session, including those that fetch credentials."""

    def __init__(self) -> None:
        super().__init__(
            http_session_cls=BoundedHttp,
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        )

    def merge(self, other_config: Any) -> Any:
        """As AioConfig, which loses the class of the HTTP session."""
        merged = super().merge(other_config)
        merged.http_session_cls = self.http_session_cls
        return merged
