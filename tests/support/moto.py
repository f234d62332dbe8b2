"""moto's server: Lambda, CloudWatch, autoscaling and S3 for tests. Never DynamoDB: it is wrong about streams."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

from refire_async.aws.other_services import Services
from tests.support.backends import REGION

SERVICES = ("APPLICATION_AUTO_SCALING", "CLOUDWATCH", "KINESIS", "LAMBDA", "PIPES", "S3")
"""botocore's names of the services in AWS_ENDPOINT_URL_…"""


@dataclass(frozen=True, slots=True)
class Moto:
    """A running moto server."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which a program finds its services here, but not DynamoDB."""
        return {f"AWS_ENDPOINT_URL_{service}": self.url for service in SERVICES}

    def client(self, service: str) -> Any:
        """A boto3 client of the test itself. The caller closes it."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="SCENARIO",
            aws_secret_access_key="scenario",
        )


@contextlib.contextmanager
def moto_server() -> Iterator[Moto]:
    """A server on a free port of the loopback interface, during the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        # Its state belongs to the process, not to the server.
        with urlopen(Request(f"{url}/moto-api/reset", method="POST")):
            yield Moto(url)
    finally:
        server.stop()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program waits a minute for responses of AWS services, so that a busy machine changes no result.

    Import it into a conftest or test module to use it.
    """
    original = Services.open
    monkeypatch.setattr(Services, "open", lambda self, service, *_, **__: original(self, service, 60.0))


@pytest.fixture
def moto() -> Iterator[Moto]:
    """A moto server of the test's own. Import it into a conftest or test module to use it."""
    with moto_server() as server:
        yield server
