"""Versions of this program and what it runs on, and which variables of the environment are set."""

import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from refire_async import __version__

LIBRARIES = (
    *("aioboto3", "aiobotocore", "aiohttp", "aiolimiter", "anyio", "boto3", "botocore", "click", "httptools"),
    *("orjson", "platformdirs", "rich", "sortedcontainers", "structlog"),
    *("uvloop", "prometheus-client", "pyspark"),
)
"""What refire depends on, and the optional ones."""

VARIABLES = (
    *(
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
    ),
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_DYNAMODB_STREAMS"),
    *("AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL_CLOUDWATCH", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_EC2_METADATA_DISABLED", "AWS_USE_FIPS_ENDPOINT"),
    *("AWS_USE_DUALSTACK_ENDPOINT", "AWS_LAMBDA_FUNCTION_NAME", "AWS_EXECUTION_ENV"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
    *("HOME", "XDG_STATE_HOME", "TMPDIR", "TERM", "NO_COLOR", "LANG", "LC_ALL", "TZ"),
)
"""Variables that change what refire does. A diagnosis says which are set, never to what."""


def describe_software() -> dict[str, Any]:
    """Versions and operating system."""
    return {
        "refire": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "cpus": os.cpu_count(),
        "encoding": sys.getfilesystemencoding(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name)) is not None},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def variables_set(environment: Mapping[str, str]) -> list[str]:
    """The names of known variables that are set."""
    return [name for name in VARIABLES if environment.get(name)]
