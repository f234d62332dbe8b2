"""The server that probes run on, and boto3 clients whose requests are counted."""

import math
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from refire_async.aws.endpoint import parse_endpoint
from tests.probes.cost import Meter
from tests.probes.facts import ServerName

_WRITES = frozenset(("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"))
_READS = frozenset(("GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"))
_STATEMENTS = frozenset(("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"))
_EMULATED = {"aws_access_key_id": "PROBES", "aws_secret_access_key": "probes"}


class NoServerError(Exception):
    """There is no region, no profile, no credentials or no answer; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where probes run. Without `endpoint_url` it is what the AWS configuration says: AWS itself, or an emulator."""

    endpoint_url: str | None = None
    profile: str | None = None
    region: str | None = None
    server: ServerName | None = None
    """Its name if it cannot tell itself, as behind a proxy."""


@dataclass(slots=True)
class Clients:
    """Clients of one server. `operations` collects what was called, as `service:Operation`."""

    server: ServerName
    url: str
    region: str
    session: Any
    meter: Meter
    operations: set[str] = field(default_factory=set)
    _target: Target = field(default_factory=Target)
    _open: dict[str, Any] = field(default_factory=dict)

    @property
    def at_aws(self) -> bool:
        """Whether it is AWS itself."""
        return self.server == "aws"

    def get(self, service: str) -> Any:
        """A client of this service, which sends each request once."""
        if service not in self._open:
            client = self.session.client(
                service,
                endpoint_url=self._target.endpoint_url,
                region_name=self.region,
                config=Config(
                    read_timeout=60,
                    connect_timeout=10,
                    retries={"total_max_attempts": 1},
                    s3={"addressing_style": "path"} if not self.at_aws else {},
                    parameter_validation=False,  # probes send what the service shall refuse
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
                **self._credentials(),
            )
            self._count(client, service)
            self._open[service] = client
        return self._open[service]

    def _credentials(self) -> dict[str, str]:
        return _EMULATED if not self.at_aws and self.session.get_credentials() is None else {}

    def credentials(self) -> tuple[str, str, str | None]:
        """Access key id, secret access key and session token, for requests that are signed by hand."""
        found = self.session.get_credentials()
        if found is None:
            return _EMULATED["aws_access_key_id"], _EMULATED["aws_secret_access_key"], None
        frozen = found.get_frozen_credentials()
        return frozen.access_key, frozen.secret_key, frozen.token

    def close(self) -> None:
        """Close all clients."""
        for client in self._open.values():
            client.close()
        self._open.clear()

    def _count(self, client: Any, service: str) -> None:
        sizes: list[int] = [0]

        def ask_for_units(params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any]:
            if model.name in _WRITES | _READS | _STATEMENTS:
                params.setdefault("ReturnConsumedCapacity", "TOTAL")
            return params

        def before(model: Any, params: dict[str, Any], **_: Any) -> None:
            self.meter.check()
            self.operations.add(f"{service}:{model.name}")
            body = params.get("body")
            sizes[0] = len(body) if isinstance(body, bytes | bytearray | str) else 0

        def after(model: Any, parsed: dict[str, Any], **_: Any) -> None:
            self.meter.add(**_units(service, model.name, parsed, sizes[0]))

        events = client.meta.events
        events.register(f"provide-client-params.{service}", ask_for_units)
        events.register("before-call.*.*", before)
        events.register("after-call.*.*", after)


def _units(service: str, operation: str, parsed: dict[str, Any], sent: int) -> dict[str, float]:
    """What a request consumed, by the names of `Cost`: the reported units, or a guess on the safe side."""
    match service:
        case "dynamodb" if operation in _WRITES | _READS | _STATEMENTS:
            kind = "reads" if operation in _READS else "writes"
            entries = parsed.get("ConsumedCapacity")
            entries = [entries] if isinstance(entries, dict) else entries if isinstance(entries, list) else []
            reported = sum(
                entry["CapacityUnits"]
                for entry in entries
                if isinstance(entry.get("CapacityUnits"), int | float)
            )
            return {kind: max(reported, 1 if entries else math.ceil(sent / 1024) + 1)}
        case "dynamodbstreams":
            return {"stream_reads": 1}
        case "sqs":
            return {"queue_requests": 1}
        case "s3":
            return {"object_requests": 1}
        case "lambda" if operation == "Invoke":
            return {"invocations": 1}
        case _:
            return {}


def connect(target: Target, max_dollars: float) -> Clients:
    """Find the server. Sends nothing to AWS. Raises NoServerError."""
    try:
        session = boto3.Session(profile_name=target.profile, region_name=target.region)
        region = session.region_name or ("eu-west-1" if target.endpoint_url else None)
        if region is None:
            raise NoServerError("no region is set: give --region, or set one in the profile")
        client = session.client("dynamodb", endpoint_url=target.endpoint_url, region_name=region, **_EMULATED)
        url = client.meta.endpoint_url
        client.close()
        server = target.server or _identify(url)
        if server == "aws" and session.get_credentials() is None:
            raise NoServerError("no AWS credentials found: log in, or choose another --profile")
    except (BotoCoreError, ValueError) as error:
        raise NoServerError(f"the AWS configuration cannot be used: {error}") from error
    return Clients(server, url, region, session, Meter(max_dollars), _target=target)


def _identify(url: str) -> ServerName:
    """Which server answers at this URL. Raises NoServerError if none does."""
    if parse_endpoint(url).is_aws:
        return "aws"
    if _get(f"{url}/_ministack/health")[0] == 200:
        return "ministack"
    if _get(f"{url}/_sandbox/stats")[0] == 200:
        return "sandbox"
    status, body = _get(url)
    if status == 0:
        raise NoServerError(f"no server answers at {url}")
    if status == 400 and b"MissingAuthenticationToken" in body:
        return "dynamodb-local"
    return "other"


def _get(url: str) -> tuple[int, bytes]:
    """Status and body; status 0 if there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read(10_000)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(10_000)
    except (OSError, ValueError):
        return 0, b""
