"""Where botocore sends a request, and in whose region it is signed: asked of botocore itself.

Its rules know partitions, FIPS, dual stack, account-based endpoints and every place where an endpoint can be set. What
a client says of itself (`meta.endpoint_url`) comes from older data and is another host in some of these cases.
"""

from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSResponse

from refire_async.aws.endpoint import Endpoint, parse_endpoint


@dataclass(frozen=True, slots=True)
class Route:
    """A host, and the region that its requests are signed for."""

    endpoint: Endpoint
    region: str


async def route_of(client: Any, method: str, **parameters: Any) -> Route:
    """Where `client`, of aiobotocore, would send this call. Nothing is sent.

    Raises:
        UsageError: the endpoint that is set is malformed.
        BotoCoreError: the configuration contradicts itself, or there are no credentials for an account-based endpoint.
    """
    seen: list[Route] = []

    def look(params: dict[str, Any], request_signer: Any, context: dict[str, Any], **_: Any) -> Any:
        region = context.get("signing", {}).get("region") or request_signer.region_name
        seen.append(Route(parse_endpoint(params["url"].removesuffix(params["url_path"])), region))
        # An answer in place of the service's, as botocore's own Stubber gives.
        return AWSResponse(params["url"], 200, {}, None), {}

    events = client.meta.events
    events.register_first("before-call.*.*", look, unique_id="refire-route")
    try:
        await getattr(client, method)(**parameters)
    finally:
        events.unregister("before-call.*.*", look, unique_id="refire-route")
    return seen[0]
