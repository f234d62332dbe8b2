"""The typed records have exactly the options of their commands, and values of the annotated types."""

import types
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import click
import pytest

from refire_async.cli import program
from refire_async.cli.parsed_options import (
    CheckOptions,
    ForgetOptions,
    PlanOptions,
    ReportOptions,
    ResumeOptions,
    RunOptions,
    StatusOptions,
    VerifyOptions,
)

RECORDS = {
    "run": RunOptions,
    "resume": ResumeOptions,
    "check": CheckOptions,
    "plan": PlanOptions,
    "verify": VerifyOptions,
    "status": StatusOptions,
    "forget": ForgetOptions,
    "report": ReportOptions,
}

GIVEN = {
    "--table": "orders",
    "--region": "eu-west-1",
    "--profile": "prod",
    "--endpoint-url": "http://127.0.0.1:8000",
    "--archive": "s3://pages/runs",
    "--index": "by-day",
    "--key-name": "day",
    "--key-value": "a",
    "--key-value-range": "2026-11-01..2026-11-03",
    "--key-type": "s",
    "--sort-key-condition": "> 1",
    "--where": "a = 1",
    "--filter": "a = :a",
    "--names": "{}",
    "--values": "{}",
    "--export": "s3://bucket/folder",
    "--sample": "1%",
    "--marker": "stamp",
    "--marker-attribute": "a",
    "--max-wcu": "500",
    "--wcu-percent": "50",
    "--max-rcu": "500",
    "--max-rate": "5",
    "--rate": "50%",
    "--rate-timezone": "UTC",
    "--headroom": "10%",
    "--max-iterator-age": "5m",
    "--consumer-rate": "5",
    "--max-consumer-errors": "5",
    "--segments": "4",
    "--workers": "4",
    "--processes": "2",
    "--writer": "update",
    "--max-items": "10",
    "--give-up-after": "5m",
    "--run-id": "fix-1",
    "--stream-arn": "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/2026",
    "--canary": "10",
    "--ignore": "stream-disabled,table-status",
    "--log-level": "debug",
    "--log-format": "json",
    "--notify": "https://127.0.0.1/x",
    "--metrics-port": "9464",
    "--metrics-host": "127.0.0.1",
    "--records": "2M",
    "--record-size": "2KB",
    "--batch-size": "50",
    "--function-ms": "300",
    "--function-memory": "512",
    "--concurrency": "20",
    "--shards": "4",
    "--parallelization": "2",
    "--items": "5M",
    "--item-size": "1KB",
    "--wcu": "10",
    "--rcu": "10",
    "--indexes": "2",
    "--consumer-ms": "20",
    "--on": "glue",
    "--tasks": "8",
    "--task": "7",
    "--sample-seconds": "10s",
    "--limit": "5",
}
PATHS = ("--keys-file", "--checkpoint", "--prices", "--plot", "--out", "--log-file")


def command_of(name: str) -> click.Command:
    """A command of the program."""
    command = program.get_command(click.Context(program), name)
    assert command is not None
    return command


def fits(value: object, kind: Any) -> bool:
    """Whether `value` has the annotated type, members of tuples included."""
    origin, members = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in members
    if origin in (types.UnionType, Union):
        return any(fits(value, member) for member in members)
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(one, members[0]) for one in value)
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


@pytest.mark.parametrize("name", RECORDS)
def test_fields_are_the_options(name: str) -> None:
    """No option of a command is lost on its way to the settings, and every field has an option."""
    shown = {param.name for param in command_of(name).params if param.expose_value}
    assert {field.name for field in fields(RECORDS[name])} == shown


@pytest.mark.parametrize("given", [False, True], ids=["defaults", "all"])
@pytest.mark.parametrize("name", RECORDS)
def test_values_have_the_annotated_types(name: str, given: bool, tmp_path: Path) -> None:
    """The types of click's values are the annotated ones: for the defaults, and with every option given."""
    command = command_of(name)
    file = tmp_path / "file"
    file.touch()
    words: list[str] = []
    for param in command.params if given else ():
        option = param.opts[0]
        if not isinstance(param, click.Option) or not param.expose_value:
            continue
        if param.is_flag:
            words.append(option)
        else:
            words += [option, str(file) if option in PATHS else GIVEN[option]]
    with command.make_context(name, words, parent=click.Context(program)) as ctx:
        record = RECORDS[name](**ctx.params)
    wrong = {
        field: getattr(record, field)
        for field, kind in get_type_hints(type(record)).items()
        if not fits(getattr(record, field), kind)
    }
    assert wrong == {}
    if given:
        absent = {field for field in get_type_hints(type(record)) if getattr(record, field) is None}
        assert absent <= {"run_id"}, "an argument, not an option, where a run is named"
