"""AWS Signature Version 4 for a POST with a body that is in memory.

Pure: the clock is an argument. A `SecondSigner` prepares everything that is constant for one second (date, key,
headers), so that each request needs only two SHA-256 and one HMAC (IAM User Guide: Create a signed AWS API request).
"""

from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest as hmac_digest
from time import gmtime, strftime
from urllib.parse import quote

from refire_async.aws.types import Api

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; `token` belongs to temporary ones. The secret parts are not in its repr."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class SecondSigner:
    """Signs requests within one second. Not for later use: the service would accept it, but its logs would be wrong."""

    def __init__(
        self, host: str, region: str, api: Api, *, credentials: Credentials, epoch_s: int, signing_key: bytes
    ) -> None:
        self.credentials = credentials
        self.epoch_s = epoch_s
        date = _amz_date(epoch_s)
        self._scope = f"{date[:8]}/{region}/{api.service}/aws4_request"
        self._key = signing_key
        self._to_sign = f"{_ALGORITHM}\n{date}\n{self._scope}\n".encode()
        self._headers = {"Host": host, "X-Amz-Date": date}
        if credentials.token:
            self._headers["X-Amz-Security-Token"] = credentials.token
        self._api = api
        self._prepared: dict[tuple[str, str], tuple[bytes, str, dict[str, str]]] = {}

    def headers(self, operation: str, body: bytes, path: str = "/") -> dict[str, str]:
        """All headers of the signed request, a new dict each time. `path` includes the query, percent-encoded."""
        prepared = self._prepared.get((operation, path))
        if prepared is None:
            prepared = self._prepared[operation, path] = self._prepare(operation, path)
        canonical, authorization, headers = prepared
        canonical += sha256(body).hexdigest().encode()
        to_sign = self._to_sign + sha256(canonical).hexdigest().encode()
        signed = headers.copy()
        signed["Authorization"] = authorization + hmac_digest(self._key, to_sign, "sha256").hex()
        return signed

    def _prepare(self, operation: str, path: str) -> tuple[bytes, str, dict[str, str]]:
        """The canonical request up to the body's hash, the authorization up to the signature, the other headers."""
        headers = self._headers | self._api.headers_of(operation)
        lines = sorted((name.lower(), value) for name, value in headers.items())
        signed = ";".join(name for name, _ in lines)
        where, _, query = path.partition("?")
        canonical = "\n".join(
            (
                "POST",
                quote(where, safe="/~"),  # encoded twice: only S3 signs a path as it is sent
                "&".join(sorted(query.split("&"))),
                *(f"{name}:{value}" for name, value in lines),
                "",
                signed,
                "",
            )
        )
        authorization = (
            f"{_ALGORITHM} Credential={self.credentials.access_key}/{self._scope}, "
            f"SignedHeaders={signed}, Signature="
        )
        return canonical.encode(), authorization, headers


class Signer:
    """Creates signers for one host, region and API; caches the signing key of the last credentials and day."""

    def __init__(self, host: str, region: str, api: Api) -> None:
        self._host = host
        self._region = region
        self._api = api
        self._key_of: tuple[Credentials, str] | None = None
        self._key = b""

    def at(self, credentials: Credentials, epoch_s: int) -> SecondSigner:
        """A signer with these credentials for this second (Unix time)."""
        day = _amz_date(epoch_s)[:8]
        if self._key_of != (credentials, day):
            key = f"AWS4{credentials.secret_key}".encode()
            for part in (day, self._region, self._api.service, "aws4_request"):
                key = hmac_digest(key, part.encode(), "sha256")
            self._key_of, self._key = (credentials, day), key
        return SecondSigner(
            self._host,
            self._region,
            self._api,
            credentials=credentials,
            epoch_s=epoch_s,
            signing_key=self._key,
        )


def _amz_date(epoch_s: int) -> str:
    """`20261123T060000Z`: ISO 8601 basic format in UTC."""
    return strftime("%Y%m%dT%H%M%SZ", gmtime(epoch_s))
