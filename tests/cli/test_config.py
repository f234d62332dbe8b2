"""Options from a file: precedence, errors, and `refire config`, which shows the effective options."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from refire_async.settings import Budget, ResumeSettings, RunSettings, SelectionSettings
from tests.cli.conftest import Ended, FakeEngine
from tests.cli.test_settings import EVERYTHING, OPTIONS

Refire = Callable[..., Ended]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write(text: str, name: str = "refire.toml") -> None:
    Path(name).write_text(text)


def test_every_option_from_a_file(refire: Refire, fake_engine: FakeEngine) -> None:
    """The same settings as with options, without an option."""
    lines = [f"{option[2:]} = '''{value}'''" for option, value in OPTIONS.items()]
    write(
        "\n".join(
            ["[run]", *lines, "ignore = ['stream-disabled', 'table-status']", "dry-run = true", "yes = true"]
        )
    )
    ended = refire("run")
    assert ended.code == 0, ended.err
    assert fake_engine.seen == [EVERYTHING]


def test_types_of_toml(refire: Refire, fake_engine: FakeEngine) -> None:
    """Numbers, dates, lists, tables, and underscores instead of dashes."""
    write(
        'table = "orders"\nmax_wcu = 500\nkey-value = [2026-11-20, 42]\n'
        '[run]\nmax-rate = 0.5\nfilter = "#s = :open"\n'
        '[run.names]\n"#s" = "status"\n[run.values]\n":open" = 7\n'
    )
    ended = refire("run")
    assert ended.code == 0, ended.err
    selection = SelectionSettings(
        key_values=("2026-11-20", "42"),
        filter="#s = :open",
        names=(("#s", "status"),),
        values=((":open", {"N": "7"}),),
    )
    assert fake_engine.seen == [
        RunSettings(table="orders", selection=selection, budget=Budget(max_wcu=500.0, max_rate=0.5))
    ]


def test_precedence(refire: Refire, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Option before environment before the command's table before the top level of the file before the default."""
    seen = []

    def rate(*flags: str) -> float | None:
        assert refire("run", "--table", "orders", *flags).code == 0
        settings = fake_engine.seen[-1]
        assert isinstance(settings, RunSettings)
        seen.append(settings.budget.max_rate)
        return settings.budget.max_rate

    assert rate() is None
    write("max-rate = 1")
    assert rate() == 1
    write("max-rate = 1\n[run]\nmax-rate = 2\n[resume]\nmax-rate = 99")
    assert rate() == 2
    monkeypatch.setenv("REFIRE_MAX_RATE", "3")
    assert rate() == 3
    assert rate("--max-rate", "4") == 4


def test_which_file(refire: Refire, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config before REFIRE_CONFIG before refire.toml in the folder; the null device for no file."""
    write('table = "here-table"')
    write('table = "from-variable"', "b.toml")
    write('table = "from-flag"', "c.toml")
    assert refire("run").code == 0
    monkeypatch.setenv("REFIRE_CONFIG", "b.toml")
    assert refire("run").code == 0
    assert refire("run", "--config", "c.toml").code == 0
    assert refire("run", "--config", "/dev/null").code == 2
    assert [settings.table for settings in fake_engine.seen if isinstance(settings, RunSettings)] == [
        "here-table",
        "from-variable",
        "from-flag",
    ]


STRANGER = 54_321
"""A user id that is not ours."""


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (lambda path: os.chown(path, STRANGER, STRANGER), "belongs to another user; name it with --config"),
        (lambda path: path.chmod(0o666), "can be written to by other users; chmod go-w refire.toml, "),
        (lambda path: path.chmod(0o664), "can be written to by other users"),
        (
            lambda path: (path.rename("x"), path.symlink_to("x"), os.lchown(path, STRANGER, STRANGER)),
            "belongs to another user",
        ),
    ],
    ids=["owner", "everyone", "group", "link"],
)
def test_a_file_that_others_can_have_written(
    refire: Refire, fake_engine: FakeEngine, plant: Callable[[Path], object], words: str
) -> None:
    """In another user's folder it would choose the table. A user who names it trusts it."""
    write('table = "planted"')
    plant(Path("refire.toml"))
    ended = refire("run", "--table", "orders")
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert words in ended.err
    assert fake_engine.seen == []
    assert refire("run", "--config", "/dev/null", "--table", "orders").code == 0
    assert refire("run", "--config", "refire.toml").code == 0
    assert [settings.table for settings in fake_engine.seen if isinstance(settings, RunSettings)] == [
        "orders",
        "planted",
    ]


def test_a_file_of_root_is_read(refire: Refire, fake_engine: FakeEngine) -> None:
    """It is usual in container images, and root can do everything anyway."""
    write('table = "orders"')
    os.chown("refire.toml", 0, 0)
    assert refire("run").code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [("a = " + "[" * 100_000, "is nested too deeply"), ("# " + "x" * (1 << 20), "has more than 1,024 KB")],
    ids=["deep", "long"],
)
def test_a_file_without_end(refire: Refire, fake_engine: FakeEngine, text: str, words: str) -> None:
    write(text)
    ended = refire("run", "--table", "orders")
    assert ended.code == 2
    assert words in ended.err
    assert fake_engine.seen == []


def test_options_of_other_commands(refire: Refire, fake_engine: FakeEngine, here: Path) -> None:
    """Names at the top level apply to the commands that have them; a resume has no table."""
    checkpoint = here / "x.refire"
    checkpoint.touch()
    write(f'table = "orders"\nwcu-percent = 40\n[resume]\ncheckpoint = "{checkpoint}"\n')
    assert refire("resume").code == 0
    assert fake_engine.seen == [ResumeSettings(checkpoint=checkpoint, budget=Budget(wcu_percent=40))]


def test_a_run_says_which_file(refire: Refire, fake_engine: FakeEngine) -> None:
    """So that users can find out where a limit came from."""
    write('table = "orders"')
    lines = [orjson.loads(line) for line in refire("run").err.splitlines()]
    assert {"event": "config.read", "file": "refire.toml"}.items() <= lines[0].items()


BAD = {
    "no TOML": ("table = ", "not valid TOML"),
    "unknown name": ('tabel = "orders"', "unknown name 'tabel'; did you mean table?"),
    "unknown name in a table": ("[run]\nmax-wcus = 5", "'max-wcus' in [run]; did you mean max-wcu?"),
    "far name": ("zzzzzz = 5", "see refire run --help"),
    "unknown table": ("[rnu]\nmax-wcu = 5", "unknown table [rnu]; did you mean run?"),
    "name of another command": ("[status]\nmax-wcu = 5", "'max-wcu' in [status]"),
    "a table of another command is read too": ("[resume]\nmax-wuc = 5", "did you mean max-wcu?"),
    "the file itself": ('config = "x.toml"', "unknown name 'config'"),
    "bad value": ("max-wcu = -5", "max-wcu in refire.toml must be a number above 0, not '-5'"),
    "bad word": ('[run]\nmarker = "cross"', "marker in refire.toml must be one of revision, stamp"),
    "flag that is none": ('dry-run = "perhaps"', "dry-run in refire.toml must be 1 or 0"),
    "a truth for a number": ("max-wcu = true", "refire.toml: max-wcu is true; give a value"),
    "a list for one value": ("max-wcu = [1, 2]", "max-wcu is a list; give one value"),
    "a table for a value": ("[run]\nmax-wcu = {a = 1}", "max-wcu in [run] is a table"),
    "empty value": ('region = ""', "region in refire.toml"),
    "twice": ("max-wcu = 1\nmax-wcu = 2", "not valid TOML"),
    "what does not go together": (
        'keys-file = "refire.toml"\nkey-value = "c-42"',
        "keys-file in refire.toml and key-value in refire.toml cannot be combined",
    ),
}


@pytest.mark.parametrize(("text", "hint"), BAD.values(), ids=BAD)
def test_bad_file(refire: Refire, fake_engine: FakeEngine, text: str, hint: str) -> None:
    """One line that names the file and the problem; exit code 2; nothing starts."""
    write(text)
    ended = refire("run", "--table", "orders")
    assert (ended.code, ended.out, fake_engine.seen) == (2, "", [])
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("refire: ")
    assert "refire.toml" in ended.err
    assert hint in ended.err


def test_files_that_cannot_be_read(refire: Refire, fake_engine: FakeEngine, here: Path) -> None:
    """Missing, a folder, not text."""
    Path("binary.toml").write_bytes(b"\xff\xfe\x00")
    for name, hint in (
        ("nowhere.toml", "is not there"),
        (str(here), "is a folder"),
        ("binary.toml", "UTF-8"),
    ):
        ended = refire("run", "--table", "orders", "--config", name)
        assert ended.code == 2
        assert len(ended.err.splitlines()) == 1
        assert hint in ended.err
    assert fake_engine.seen == []


def test_help_works_with_a_bad_file(refire: Refire) -> None:
    """Users need the help to fix the file."""
    write("tabel = 5")
    assert refire("run", "--help").code == 0
    assert refire("--help").code == 0


def test_config_shows_where_values_come_from(refire: Refire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option once, with its value and its source; for scripts too."""
    write('table = "orders"\n[run]\nmax-wcu = 500\n')
    monkeypatch.setenv("REFIRE_REGION", "eu-west-1")
    monkeypatch.setenv("HashKeyValue", "c-42")
    text = refire("config").out
    assert max(map(len, text.splitlines())) <= 80
    assert "4 set" in text
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("  ")}
    assert rows["table"] == ["orders", "refire.toml"]
    assert rows["max-wcu"] == ["500", "refire.toml", "[run]"]
    assert rows["region"] == ["eu-west-1", "REFIRE_REGION"]
    assert rows["key-value"] == ["c-42", "HashKeyValue"]
    assert rows["wcu-percent"] == ["80"]
    shown = orjson.loads(refire("config", "run", "--json").out)
    assert (shown["command"], shown["file"]) == ("run", "refire.toml")
    settings = {entry.pop("name"): entry for entry in shown["settings"]}
    assert settings["max-wcu"] == {"value": 500.0, "source": "file", "from": "refire.toml [run]"}
    assert settings["region"] == {"value": "eu-west-1", "source": "environment", "from": "REFIRE_REGION"}
    assert settings["filter"] == {"value": None, "source": "default", "from": None}
    assert "config" not in settings


def test_config_of_another_command_and_file(refire: Refire) -> None:
    """The command's options, with the file of --config."""
    write("wcu-percent = 25", "night.toml")
    text = refire("config", "resume", "--config", "night.toml").out
    assert re.search(r"wcu-percent +25 +night\.toml\n", text)
    assert "filter" not in text
    assert "did you mean refire resume?" in refire("config", "resmue").err


def test_config_shows_no_secret(refire: Refire) -> None:
    """A password in the endpoint is not shown."""
    write('endpoint-url = "https://user:hunter2@localhost:8000"')
    for arguments in (("config",), ("config", "--json")):
        assert "hunter2" not in refire(*arguments).out


def test_config_refuses_what_the_command_would(refire: Refire) -> None:
    """A bad value is reported in the same line as by the command itself."""
    write("max-wcu = -1")
    assert refire("config").err == refire("run").err


def test_the_file_in_the_documentation(refire: Refire, fake_engine: FakeEngine) -> None:
    """The example of docs/configuration.md is a valid file."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "configuration.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    write(example)
    ended = refire("run")
    assert ended.code == 0, ended.err
    assert fake_engine.seen[0].budget.max_wcu == 2000
