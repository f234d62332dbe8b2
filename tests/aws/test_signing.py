"""Signatures equal those of botocore for any request."""

from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.serialize import create_serializer
from botocore.session import Session as BotoSession
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.invocations import invocation_path
from refire_async.aws.signing import Credentials, Signer
from refire_async.aws.types import INVOKE_API, STREAMS_API, TABLES_API, Api

printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
hosts = st.sampled_from(["dynamodb.eu-west-1.amazonaws.com", "127.0.0.1:8000", "[::1]:4566", "localhost"])
moments = st.integers(0, 4_000_000_000)


def by_botocore(
    *,
    credentials: Credentials,
    host: str,
    region: str,
    service: str,
    date: str,
    body: bytes,
    headers: dict[str, str],
    path: str = "/",
) -> dict[str, str]:
    """The headers of botocore for the same request at that time."""
    request = AWSRequest("POST", f"https://{host}{path}", headers=headers, data=body)
    signer = SigV4Auth(
        BotoCredentials(credentials.access_key, credentials.secret_key, credentials.token), service, region
    )
    request.context["timestamp"] = date
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    access_key=printable,
    secret_key=st.text(max_size=60),
    token=st.none() | printable,
    host=hosts,
    region=st.sampled_from(["eu-west-1", "us-gov-west-1", "cn-north-1"]),
    api=st.sampled_from([TABLES_API, STREAMS_API]),
    operations=st.lists(
        st.sampled_from(["Scan", "BatchExecuteStatement", "UpdateItem"]), min_size=1, max_size=4
    ),
    body=st.binary(max_size=300),
    epoch_s=moments,
)
def test_equal_to_botocore(
    *,
    access_key: str,
    secret_key: str,
    token: str | None,
    host: str,
    region: str,
    api: Api,
    operations: list[str],
    body: bytes,
    epoch_s: int,
) -> None:
    """Every header of botocore has the same value here, with a signer that is used several times."""
    credentials = Credentials(access_key, secret_key, token)
    moment = Signer(host, region, api).at(credentials, epoch_s)
    for operation in operations:
        signed = {name.lower(): value for name, value in moment.headers(operation, body).items()}
        assert signed.pop("host") == host
        assert signed == by_botocore(
            credentials=credentials,
            host=host,
            region=region,
            service="dynamodb",
            date=signed["x-amz-date"],
            body=body,
            headers={
                "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Target": f"{api.target}.{operation}",
            },
        )


names = st.text("abzAZ09-_", min_size=1, max_size=20)
arns = names.map("arn:aws:lambda:eu-west-1:123456789012:function:{}".format)


@given(
    token=st.none() | printable,
    host=hosts,
    calls=st.lists(
        st.tuples(names | arns | names.map("123456789012:{}".format), st.none() | st.just("$LATEST") | names),
        min_size=1,
        max_size=4,
    ),
    body=st.binary(max_size=300),
    epoch_s=moments,
)
def test_invocations_equal_to_botocore(
    token: str | None, host: str, calls: list[tuple[str, str | None]], body: bytes, epoch_s: int
) -> None:
    """Lambda's paths are percent-encoded and so are their qualifiers; one moment signs for several functions."""
    credentials = Credentials("AKIDEXAMPLE", "a secret", token)
    moment = Signer(host, "eu-west-1", INVOKE_API).at(credentials, epoch_s)
    for function, qualifier in calls:
        path = invocation_path(function, qualifier)
        signed = {name.lower(): value for name, value in moment.headers("Invoke", body, path).items()}
        assert signed.pop("host") == host
        assert signed == by_botocore(
            credentials=credentials,
            host=host,
            region="eu-west-1",
            service="lambda",
            date=signed["x-amz-date"],
            body=body,
            headers={
                "Content-Type": "application/json",
                "X-Amz-Invocation-Type": "RequestResponse",
                "X-Amz-Log-Type": "Tail",
            },
            path=path,
        )


@given(
    function=names | arns,
    qualifier=st.none() | st.just("$LATEST") | names,
)
def test_paths_equal_to_botocore(function: str, qualifier: str | None) -> None:
    """The path equals that of botocore's own serializer."""
    model = BotoSession().get_service_model("lambda").operation_model("Invoke")
    given = {"FunctionName": function} | ({"Qualifier": qualifier} if qualifier else {})
    made = create_serializer("rest-json").serialize_to_request(given, model)
    query = urlencode(made["query_string"])
    assert invocation_path(function, qualifier) == made["url_path"] + (f"?{query}" if query else "")


def test_date_is_that_of_the_second() -> None:
    """Unix time in, ISO 8601 basic format in UTC out."""
    moment = Signer("h", "r", TABLES_API).at(Credentials("a", "s"), 1_700_000_000)
    assert moment.headers("Scan", b"")["X-Amz-Date"] == "20231114T221320Z"


@given(
    uses=st.lists(
        st.tuples(st.sampled_from(["k1", "k2"]), st.sampled_from(["s1", "s2"]), moments), max_size=8
    )
)
def test_the_cached_key_is_never_stale(uses: list[tuple[str, str, int]]) -> None:
    """A signer that was used for other days and credentials signs like a new one."""
    used = Signer("h", "r", TABLES_API)
    for access_key, secret_key, epoch_s in uses:
        credentials = Credentials(access_key, secret_key)
        fresh = Signer("h", "r", TABLES_API).at(credentials, epoch_s)
        assert used.at(credentials, epoch_s).headers("Scan", b"x") == fresh.headers("Scan", b"x")


def test_callers_may_change_headers() -> None:
    """The change does not affect the next request."""
    moment = Signer("h", "r", TABLES_API).at(Credentials("a", "s"), 0)
    first = moment.headers("Scan", b"")
    first.clear()
    assert moment.headers("Scan", b"")["Host"] == "h"


def test_secrets_are_not_shown() -> None:
    """A log may contain a repr."""
    assert repr(Credentials("AKID", "hidden", "hidden")) == "Credentials(access_key='AKID')"
