"""Requests that boto3 cannot send: signed at another time or not at all, or with members that its model lacks."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from tests.probes.clients import Clients

_TARGETS = {"dynamodb": "DynamoDB_20120810", "dynamodbstreams": "DynamoDBStreams_20120810"}
_SIGNING_NAME = "dynamodb"


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def parsed(self) -> dict[str, Any]:
        """The JSON object of the body, empty if it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def said(self) -> str:
        """The short name of the refusal, or `accepted`."""
        if self.status == 200:
            return "accepted"
        return str(self.parsed.get("__type", "")).rpartition("#")[2] or f"HTTP {self.status}"


def send(
    clients: Clients,
    service: str,
    operation: str,
    body: dict[str, Any] | bytes,
    *,
    signed_at: datetime | None = None,
    signed: bool = True,
) -> RawAnswer:
    """One request to DynamoDB or its streams, signed now unless said otherwise."""
    clients.meter.check()
    url = clients.get(service).meta.endpoint_url
    request = AWSRequest(
        "POST",
        url + "/",
        headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"{_TARGETS[service]}.{operation}",
        },
        data=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )
    if signed:
        signer = SigV4Auth(Credentials(*clients.credentials()), _SIGNING_NAME, clients.region)
        _sign(signer, request, signed_at or datetime.now(UTC))
    answer = URLLib3Session(timeout=30).send(request.prepare())
    clients.meter.add(stream_reads=1)
    return RawAnswer(
        answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content
    )


def _sign(signer: SigV4Auth, request: AWSRequest, at: datetime) -> None:
    """As `signer.add_auth`, at a given time."""
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)
