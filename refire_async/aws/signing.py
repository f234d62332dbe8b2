"""AWS Signature Version 4 for the one request shape that DynamoDB takes: POST / with a JSON body.

Pure: the clock is an argument. Everything that stays the same for a second (date, key, headers) is prepared once
per second in a `SigningMoment`; per request two SHA-256 and one HMAC are left (IAM User Guide: Create a signed AWS
API request).
"""

from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest as hmac_digest
from time import gmtime, strftime

from refire_async.aws.types import CONTENT_TYPE

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "dynamodb"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; `token` belongs to temporary ones. The secret parts are not in its repr."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class SigningMoment:
    """Signs requests at one second. Not for reuse after it: the service allows minutes, a log reader none."""

    def __init__(
        self, host: str, region: str, api: str, *, credentials: Credentials, epoch_s: int, signing_key: bytes
    ) -> None:
        self.credentials = credentials
        self.epoch_s = epoch_s
        date = _amz_date(epoch_s)
        scope = f"{date[:8]}/{region}/{_SERVICE}/aws4_request"
        token = credentials.token
        signed = "content-type;host;x-amz-date;" + ("x-amz-security-token;" if token else "") + "x-amz-target"
        self._key = signing_key
        self._to_sign = f"{_ALGORITHM}\n{date}\n{scope}\n".encode()
        self._authorization = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={signed}, Signature="
        )
        self._headers = {"Host": host, "Content-Type": CONTENT_TYPE, "X-Amz-Date": date}
        if token:
            self._headers["X-Amz-Security-Token"] = token
        self._before_target = (
            f"POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-amz-date:{date}\n"
            + (f"x-amz-security-token:{token}\n" if token else "")
            + f"x-amz-target:{api}."
        )
        self._api = api
        self._after_target = f"\n\n{signed}\n"
        self._operations: dict[str, tuple[bytes, dict[str, str]]] = {}

    def headers(self, operation: str, body: bytes) -> dict[str, str]:
        """All headers of the signed request, a new dict each time."""
        prepared = self._operations.get(operation)
        if prepared is None:
            prepared = self._operations[operation] = self._prepare(operation)
        canonical, headers = prepared
        canonical += sha256(body).hexdigest().encode()
        to_sign = self._to_sign + sha256(canonical).hexdigest().encode()
        signed = headers.copy()
        signed["Authorization"] = self._authorization + hmac_digest(self._key, to_sign, "sha256").hex()
        return signed

    def _prepare(self, operation: str) -> tuple[bytes, dict[str, str]]:
        """The canonical request up to the body's hash, and the headers but for the signature."""
        canonical = self._before_target + operation + self._after_target
        return canonical.encode(), {**self._headers, "X-Amz-Target": f"{self._api}.{operation}"}


class Signer:
    """Signs for one host, region and API; keeps the signing key of the last credentials and day."""

    def __init__(self, host: str, region: str, api: str) -> None:
        self._host = host
        self._region = region
        self._api = api
        self._key_of: tuple[Credentials, str] | None = None
        self._key = b""

    def at(self, credentials: Credentials, epoch_s: int) -> SigningMoment:
        """What signs with these credentials in this second (Unix time)."""
        day = _amz_date(epoch_s)[:8]
        if self._key_of != (credentials, day):
            key = f"AWS4{credentials.secret_key}".encode()
            for part in (day, self._region, _SERVICE, "aws4_request"):
                key = hmac_digest(key, part.encode(), "sha256")
            self._key_of, self._key = (credentials, day), key
        return SigningMoment(
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
