"""The endpoint to which botocore sends a request, and the region of its signature, resolved by botocore itself.

Its rules include partitions, FIPS, dual stack, account-based endpoints and every setting of an endpoint. The attribute
`meta.endpoint_url` of a client comes from older data and names another host in some of these cases.
"""

from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSResponse

from refire_async.aws.endpoint import Endpoint, parse_endpoint


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint, and the region that its requests are signed for."""

    endpoint: Endpoint
    region: str


async def route_of(client: Any, method: str, **parameters: Any) -> Route:
    """The route of this call of `client`, an aiobotocore client. Sends no request.

    Raises:
        UsageError: the configured endpoint is malformed.
        BotoCoreError: the configuration contradicts itself, or there are no credentials for an account-based endpoint.
    """
    seen: list[Route] = []

    def capture(params: dict[str, Any], request_signer: Any, context: dict[str, Any], **_: Any) -> Any:
        region = context.get("signing", {}).get("region") or request_signer.region_name
        seen.append(Route(parse_endpoint(params["url"].removesuffix(params["url_path"])), region))
        # Replaces the request, as botocore's own Stubber does.
        return AWSResponse(params["url"], 200, {}, None), {}

    events = client.meta.events
    events.register_first("before-call.*.*", capture, unique_id="refire-route")
    try:
        await getattr(client, method)(**parameters)
    finally:
        events.unregister("before-call.*.*", capture, unique_id="refire-route")
    return seen[0]
