"""Every provider of botocore's chain with every failure: one line with profile and provider, exit code 10."""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path

import pytest
from aiobotocore.utils import AioContainerMetadataFetcher
from botocore.credentials import SSOProvider
from botocore.tokens import SSOTokenProvider
from botocore.utils import JSONFileCache

from refire_async.aws import config, providers
from refire_async.aws.errors import AwsError, Disposition
from refire_async.aws.providers import refusal
from refire_async.aws.session import open_data_plane, open_session
from refire_async.errors import ExitCode, RefireError
from refire_async.settings import Connection
from tests.aws.raw_server import Act, RawServer, reply, reset_after_reading, say_nothing

PAST, FUTURE = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
ROLE = "role_arn = arn:aws:iam::123456789012:role/any\n"
KEYS = "aws_access_key_id = AKID\naws_secret_access_key = PLANTED\n"
STS_KEYS = """<{0}Response><{0}Result><Credentials>
<AccessKeyId>A</AccessKeyId><SecretAccessKey>PLANTED</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>{1}</Expiration></Credentials></{0}Result></{0}Response>"""
STS_ERROR = b"<E><Error><Code>AccessDenied</Code><Message>PLANTED may not</Message></Error></E>"
SSO = """sso_session = s
sso_account_id = 123456789012
sso_role_name = r
[sso-session s]
sso_start_url = https://s
sso_region = eu-west-1
"""
SSO_CACHE = f".aws/sso/cache/{sha1(b's').hexdigest()}.json"


@dataclass
class Case:
    """A failing provider. `{url}` stands for a server that plays `acts`, `{home}` for the user's home."""

    provider: str
    config: str = ""
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str | bytes] = field(default_factory=dict)
    acts: tuple[Act, ...] = ()
    says: str = ""
    profile: str = "default"


def process(script: str, says: str) -> Case:
    """A credential process: this shell script."""
    return Case(
        "credential_process",
        "credential_process = {home}/process\n",
        files={"process": f"#!/bin/sh\n{script}\n"},
        says=says,
    )


def web(token: str | bytes | None, says: str, *acts: Act, **env: str) -> Case:
    """Web identity, as in a pod of Kubernetes (IRSA)."""
    return Case(
        "web identity",
        env={
            "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/token",
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/any",
            **env,
        },
        files={} if token is None else {"token": token},
        acts=acts,
        says=says,
    )


def role(config: str, says: str, *acts: Act) -> Case:
    """A profile that assumes a role, with this additional configuration."""
    return Case(
        "assume role",
        f"{ROLE}{config}\n[profile base]\n{KEYS}[profile empty]\nregion = eu-west-1\n",
        acts=acts,
        says=says,
    )


def container(says: str, *acts: Act, **env: str) -> Case:
    """An endpoint of ECS or of EKS Pod Identity."""
    return Case(
        "container endpoint",
        env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/get", **env},
        acts=acts,
        says=says,
    )


def sso(cache: str | bytes | None, says: str, *acts: Act) -> Case:
    """A login by IAM Identity Center."""
    return Case("SSO", SSO, files={} if cache is None else {SSO_CACHE: cache}, acts=acts, says=says)


def login(**more: str) -> str:
    """The cache of a login."""
    return json.dumps(
        {"startUrl": "https://s", "region": "eu-west-1", "accessToken": "PLANTED", "expiresAt": FUTURE} | more
    )


def imds(says: str, *acts: Act) -> Case:
    """The role of an instance."""
    return Case(
        "instance metadata",
        env={"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "{url}"},
        acts=acts,
        says=says,
    )


def answer(**members: object) -> Act:
    """These members as JSON."""
    return reply(json.dumps(members).encode(), x_amz_crc32="")


def text(body: bytes, status: int = 200) -> Act:
    return reply(body, status, x_amz_crc32="", Content_Type="text/html")


HTML = b"<html>PLANTED login page</html>"
GOOD = {"AccessKeyId": "A", "SecretAccessKey": "PLANTED", "Token": "t"}
PROCESS_KEYS = '"AccessKeyId":"A","SecretAccessKey":"PLANTED"'
TOKEN = "PLANTED.web.token"

CASES = {
    "env-part": Case(
        "environment variables", env={"AWS_ACCESS_KEY_ID": "A"}, says="AWS_SECRET_ACCESS_KEY is missing"
    ),
    "env-expired": Case(
        "environment variables",
        env={"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "PLANTED", "AWS_CREDENTIAL_EXPIRATION": PAST},
        says="have expired",
    ),
    "env-odd-date": Case(
        "environment variables",
        env={
            "AWS_ACCESS_KEY_ID": "A",
            "AWS_SECRET_ACCESS_KEY": "PLANTED",
            "AWS_CREDENTIAL_EXPIRATION": "soon",
        },
        says="not credentials",
    ),
    "env-line-end": Case(
        "environment variables",
        env={"AWS_ACCESS_KEY_ID": "A\n", "AWS_SECRET_ACCESS_KEY": "PLANTED"},
        says="line ends",
    ),
    "shared-part": Case(
        "shared credentials file",
        files={".aws/credentials": "[default]\naws_access_key_id = A\n"},
        says="aws_secret_access_key",
    ),
    "shared-no-profile": Case(
        "instance metadata",
        "[profile other]\nregion = eu-west-1\n",
        files={".aws/credentials": "[third]\naws_access_key_id = A\n"},
        says="no AWS credentials found",
        profile="other",
    ),
    "config-part": Case("config file", "aws_access_key_id = A\n", says="aws_secret_access_key"),
    "process-absent": Case(
        "credential_process", "credential_process = {home}/nothing\n", says="No such file or directory"
    ),
    "process-no-program": Case("credential_process", "credential_process = {home}/.aws\n", says="Permission"),
    "process-quote": Case("credential_process", "credential_process = sh -c 'x\n", says="not credentials"),
    "process-page": process("echo '<html>PLANTED'", "not credentials"),
    "process-silent": process("", "not credentials"),
    "process-list": process("echo '[1]'", "not credentials"),
    "process-bytes": process(r"printf '\377\376'", "not text"),
    "process-fails": process("echo PLANTED >&2; exit 3", "failed"),
    "process-fails-oddly": process(r"printf '\377' >&2; exit 3", "not text"),
    "process-version": process("""echo '{"Version":2}'""", "failed"),
    "process-lacks": process("""echo '{"Version":1,"AccessKeyId":"A"}'""", "failed"),
    "process-expired": process(
        f"""echo '{{"Version":1,{PROCESS_KEYS},"Expiration":"{PAST}"}}'""", "have expired"
    ),
    "process-odd-date": process(
        f"""echo '{{"Version":1,{PROCESS_KEYS},"Expiration":"soon"}}'""", "not credentials"
    ),
    "process-numbers": process("""echo '{"Version":1,"AccessKeyId":1,"SecretAccessKey":2}'""", "is empty"),
    "process-slow": process("exec sleep 600", "no answer within"),
    "process-reads": process("read -r line || exit 3", "failed"),
    "web-absent": web(None, "No such file or directory"),
    "web-directory": Case(
        "web identity",
        env={"AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/.aws", "AWS_ROLE_ARN": "arn:aws:iam::1:role/any"},
        says="Is a directory",
    ),
    "web-bytes": web(b"\xff\xfe", "not text"),
    "web-empty": web("", "ParamValidationError"),
    "web-no-role": web(TOKEN, "no role ARN", AWS_ROLE_ARN=""),
    "web-refused": web(TOKEN, "AccessDenied", *[reply(STS_ERROR, 403, x_amz_crc32="")] * 9),
    "web-page": web(TOKEN, "ResponseParserError", *[text(HTML)] * 9),
    "web-lacks": web(
        TOKEN,
        "lacks Credentials",
        text(b"<A><AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResult></A>"),
    ),
    "web-reset": web(TOKEN, "127.0.0.1", *[reset_after_reading] * 9),
    "web-silent": web(TOKEN, "127.0.0.1", *[say_nothing] * 9),
    "web-expired": web(
        TOKEN, "have expired", text(STS_KEYS.format("AssumeRoleWithWebIdentity", PAST).encode())
    ),
    "role-no-source": role("source_profile = missing\n", "missing"),
    "role-neither": role("", "source_profile"),
    "role-both": role("source_profile = base\ncredential_source = Environment\n", "source_profile"),
    "role-empty-source": role("source_profile = empty\n", "empty"),
    "role-odd-source": role("credential_source = Mars\n", "Mars"),
    "role-absent-source": role("credential_source = Environment\n", "failed"),
    "role-loop": role("source_profile = a\n[profile a]\nrole_arn = b\nsource_profile = default\n", "loop"),
    "role-mfa": role("source_profile = base\nmfa_serial = arn:aws:iam::1:mfa/ann\n", "MFA code"),
    "role-refused": role("source_profile = base\n", "AccessDenied", reply(STS_ERROR, 403, x_amz_crc32="")),
    "role-page": role("source_profile = base\n", "ResponseParserError", *[text(HTML)] * 9),
    "role-silent": role("source_profile = base\n", "127.0.0.1", *[say_nothing] * 9),
    "role-expired": role(
        "source_profile = base\n", "have expired", text(STS_KEYS.format("AssumeRole", PAST).encode())
    ),
    "sso-absent": sso(None, "expired or does not exist"),
    "sso-garbage": sso(HTML, "expired or does not exist"),
    "sso-bytes": sso(b"\xff\xfe", "expired or does not exist"),
    "sso-list": sso("[1]", "expired or does not exist"),
    "sso-lacks": sso('{"accessToken": "PLANTED"}', "expired or does not exist"),
    "sso-odd-date": sso(login(expiresAt="soon"), "expired or does not exist"),
    "sso-expired": sso(login(expiresAt=PAST), "expired or does not exist"),
    "sso-unauthorized": sso(
        login(),
        "expired or does not exist",
        reply(b'{"message":"PLANTED"}', 401, x_amz_crc32="", x_amzn_errortype="UnauthorizedException"),
    ),
    "sso-page": sso(login(), "ResponseParserError", *[text(HTML)] * 9),
    "sso-lacks-keys": sso(login(), "lacks accessKeyId", *[answer(roleCredentials={})] * 9),
    "sso-silent": sso(login(), "127.0.0.1", *[say_nothing] * 9),
    "container-refused": container("failed", *[text(HTML, 500)] * 9),
    "container-page": container("failed", *[text(HTML)] * 9),
    "container-bytes": container("not text", *[text(b"\xff\xfe")] * 9),
    "container-list": container("not credentials", *[text(b"[1]")] * 9),
    "container-lacks": container("lacks AccessKeyId", *[answer(Message="PLANTED")] * 9),
    "container-reset": container("failed", *[reset_after_reading] * 9),
    "container-silent": container("failed", *[say_nothing] * 9),
    "container-expired": container("have expired", *[answer(Expiration=PAST, **GOOD)] * 9),
    "container-odd-date": container("not credentials", *[answer(Expiration="soon", **GOOD)] * 9),
    "container-elsewhere": container(
        "not credentials", AWS_CONTAINER_CREDENTIALS_FULL_URI="http://192.0.2.1/get"
    ),
    "container-no-token": container(
        "No such file or directory", AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="{home}/nothing"
    ),
    "container-odd-token": container("not credentials", AWS_CONTAINER_AUTHORIZATION_TOKEN="a\nb"),
    "imds-refused": imds("no AWS credentials found", *[text(HTML, 404)] * 9),
    "imds-bad": imds("no AWS credentials found", *[text(HTML, 400)] * 9),
    "imds-page": imds("no AWS credentials found", *[text(HTML)] * 9),
    "imds-silent": imds("no AWS credentials found", *[say_nothing] * 9),
}


@pytest.fixture
def anyio_backend() -> str:
    """One event loop, because these tests do not depend on it."""
    return "asyncio"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: RawServer) -> Callable[[Case], None]:
    """Returns a function that sets up a case."""

    def put(case: Case) -> None:
        def fill(value: str) -> str:
            return value.replace("{url}", server.url).replace("{home}", str(tmp_path))

        (tmp_path / ".aws").mkdir()
        (tmp_path / ".aws/config").write_text(fill(f"[default]\n{case.config}"))
        for name, content in case.files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        for service in ("STS", "SSO", "SSO_OIDC"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", server.url)
        for name, value in case.env.items():
            monkeypatch.setenv(name, fill(value))
        server.plays(*case.acts)

    monkeypatch.setattr(config, "_READ_S", 0.1)
    monkeypatch.setattr(providers, "PROCESS_S", 0.2)
    for keeper in (SSOProvider, SSOTokenProvider):
        monkeypatch.setattr(keeper, "_SSO_TOKEN_CACHE_DIR", str(tmp_path / ".aws/sso/cache"))
    monkeypatch.setattr(AioContainerMetadataFetcher, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(AioContainerMetadataFetcher, "SLEEP_TIME", 0.01)
    return put


async def refused(profile: str | None = None) -> RefireError:
    """The error of opening a session."""
    connection = Connection(region="eu-west-1", profile=profile, endpoint_url="http://127.0.0.1:9")
    with pytest.raises(RefireError) as caught:
        async with open_session(connection, 1):
            pass
    return caught.value


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_provider_that_fails(case: Case, given: Callable[[Case], None]) -> None:
    """Profile, provider and reason in one line, with an action, without any text of the provider."""
    given(case)
    error = await refused(None if case.profile == "default" else case.profile)
    said = str(error)
    assert error.exit_code is ExitCode.REFUSED, said
    assert len(said.splitlines()) == 1
    assert f"profile {case.profile} " in said
    assert case.provider in said
    assert case.says in said
    assert error.action
    assert "PLANTED" not in said


REDIRECT = reply(b"moved", 307, Location="/elsewhere", x_amz_crc32="")


@pytest.mark.parametrize(
    ("case", "sends"),
    [
        (container("failed", *[REDIRECT] * 9, AWS_CONTAINER_AUTHORIZATION_TOKEN="PLANTED"), "authorization"),
        (imds("no AWS credentials found", *[text(b"PLANTED")] + [REDIRECT] * 9), "x-aws-ec2-metadata-token"),
        (
            role(
                "credential_source = EcsContainer\n",
                "failed",
                *[REDIRECT] * 9,
            ),
            "authorization",
        ),
    ],
    ids=["container", "instance", "role from a container"],
)
async def test_no_provider_follows_a_redirect(
    case: Case, sends: str, given: Callable[[Case], None], server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token for one address is not sent to another one."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/get")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "PLANTED")
    if case.provider == "instance metadata":
        monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    given(case)
    assert case.says in str(await refused())
    assert any(sent.headers.get(sends) == "PLANTED" for sent in server.received)
    assert not any("/elsewhere" in sent.line for sent in server.received)


async def test_the_region_of_an_instance_follows_no_redirect(
    given: Callable[[Case], None], server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`defaults_mode = auto` queries the metadata service with a token of its own."""
    monkeypatch.setenv("AWS_DEFAULTS_MODE", "auto")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    given(imds("", text(b"PLANTED"), *[REDIRECT] * 9))
    async with open_session(Connection(region="eu-west-1", endpoint_url="http://127.0.0.1:9"), 1):
        pass
    assert any(sent.headers.get("x-aws-ec2-metadata-token") == "PLANTED" for sent in server.received)
    assert not any("/elsewhere" in sent.line for sent in server.received)


async def test_one_mfa_code_is_enough_for_all_processes(
    given: Callable[[Case], None], server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child process signs with the parent's temporary credentials. After they expire it does not prompt."""
    typed: list[str] = []

    def type_code(text: str) -> str:
        typed.append(text)
        return "123456"

    monkeypatch.setattr(providers, "_prompt_for_code", type_code)
    expired = reply(b'{"__type":"x#ExpiredTokenException","message":"expired"}', 400)
    role_keys = text(STS_KEYS.format("AssumeRole", FUTURE).encode())
    given(
        role("source_profile = base\nmfa_serial = arn:aws:iam::1:mfa/ann\n", "", role_keys, reply(), expired)
    )
    connection = Connection(region="eu-west-1", endpoint_url=server.url)
    async with open_session(connection, 1) as session:
        assert session.handed_over is not None
        keys = await session.handed_over.get()
        async with open_data_plane(connection, session.route, 1, credentials=keys) as data:
            await data.call("Scan", b"{}")
            assert "Credential=A/" in server.received[-1].headers["authorization"]
            with pytest.raises(AwsError, match="MFA code"):
                await data.call("Scan", b"{}")
    assert len(typed) == 1
    assert len(server.received) == 3


async def test_other_credentials_are_looked_up_by_each_process(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are renewed before they expire, as those of the parent are."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "PLANTED")
    async with open_session(Connection(region="eu-west-1", endpoint_url=server.url), 1) as session:
        assert session.handed_over is None


async def test_a_login_that_cannot_be_saved(
    given: Callable[[Case], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that is renewed, in a home folder without write permission."""
    old = login(
        expiresAt=PAST,
        refreshToken="PLANTED",
        clientId="c",
        clientSecret="PLANTED",
        registrationExpiresAt=FUTURE,
    )
    given(sso(old, "", answer(accessToken="PLANTED", expiresIn=3600)))

    def read_only(_self: object, key: str, _value: object) -> None:
        raise OSError(30, "Read-only file system", f"/data/ann/{key}")

    monkeypatch.setattr(JSONFileCache, "__setitem__", read_only)
    said = str(await refused())
    assert "profile default from SSO" in said
    assert "Read-only file system: /data/ann/" in said


async def test_a_garbled_configuration(given: Callable[[Case], None], tmp_path: Path) -> None:
    """An invalid file is an error of the configuration: exit code 2, with the file's name."""
    given(Case("", files={".aws/credentials": b"\xff\xfe[default"}))
    error = await refused()
    assert "credentials" in str(error)
    assert str(tmp_path) in str(error)


async def test_standard_input_is_not_read(
    given: Callable[[Case], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a list of keys or a pipe between processes: no MFA code is read from it, and no program reads it."""
    read, write = os.pipe()
    os.write(write, b"key1\n")
    keep = os.dup(0)
    os.dup2(read, 0)
    try:
        for name in ("role-mfa", "process-reads"):
            with monkeypatch.context() as patch:
                patch.setattr(providers, "_prompt_for_code", providers._no_prompt)
                Path.home().joinpath(".aws/config").unlink(missing_ok=True)
                if Path.home().joinpath(".aws").exists():
                    Path.home().joinpath(".aws").rmdir()
                given(CASES[name])
                await refused()
        os.set_blocking(read, False)
        assert os.read(read, 100) == b"key1\n"
    finally:
        os.dup2(keep, 0)
        for descriptor in (keep, read, write):
            os.close(descriptor)


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (FileNotFoundError(2, "No such file or directory", "/token"), True),
        (json.JSONDecodeError("no", "PLANTED", 0), True),
        (AttributeError("PLANTED"), True),
        (KeyError("PLANTED says anything"), True),
        (EOFError("PLANTED"), True),
        (providers.MfaError("it needs an MFA code"), False),
    ],
)
def test_which_failures_are_retried_during_a_run(error: Exception, *, waits: bool) -> None:
    """Temporary failures are, those that only the user can fix are not; no text of a provider is repeated."""
    found = refusal(error, "p", "custom-process")
    assert found.disposition is (Disposition.RETRY if waits else Disposition.FATAL)
    assert "profile p from credential_process" in found.message
    assert "PLANTED" not in found.message
