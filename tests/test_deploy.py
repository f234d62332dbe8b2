"""The files of docs/deploy are right: each is read by what will read it, as far as that exists without an account."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import click
import hcl2
import pytest
import yaml
from botocore.validate import ParamValidator
from moto.stepfunctions.parser.asl.static_analyser.static_analyser import StaticAnalyser

from refire_async.cli import program

ROOT = Path(__file__).resolve().parents[1] / "docs" / "deploy"

REQUESTS = {
    "ecs/register-task-definition.json": ("ecs", "RegisterTaskDefinition"),
    "ecs/run-task.json": ("ecs", "RunTask"),
    "batch/register-job-definition.json": ("batch", "RegisterJobDefinition"),
    "batch/submit-job.json": ("batch", "SubmitJob"),
    "glue/create-job.json": ("glue", "CreateJob"),
    "emr/add-job-flow-steps.json": ("emr", "AddJobFlowSteps"),
    "emr/start-job-run.json": ("emr-serverless", "StartJobRun"),
}
STATE_MACHINE = ROOT / "step-functions" / "state-machine.asl.json"
WORDS = {"Ref::table": "orders", "Ref::checkpoint": "dynamodb://refire-runs/x", "Ref::tasks": "4"}
"""What AWS Batch writes in the place of a parameter."""


def test_every_file_is_of_a_known_kind() -> None:
    """No file is left out of the tests below."""
    known = {ROOT / name for name in REQUESTS} | {STATE_MACHINE, ROOT / "Containerfile"}
    known |= {ROOT / "kubernetes" / "job.yaml", *ROOT.rglob("*.tf"), *ROOT.rglob("*.py"), *ROOT.rglob("*.md")}
    assert {path for path in ROOT.rglob("*") if path.is_file() and "__pycache__" not in path.parts} == known


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_fits_the_model_of_its_operation(name: str) -> None:
    """Names, types and required members, as botocore checks them before it sends a request."""
    service, operation = REQUESTS[name]
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(json.loads((ROOT / name).read_text()), shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.tf")), ids=lambda path: path.parent.name)
def test_terraform_parses(path: Path) -> None:
    """Its syntax; every variable that is used is declared."""
    text = path.read_text()
    parsed = hcl2.loads(text)
    declared = {name.strip('"') for block in parsed["variable"] for name in block}
    assert set(re.findall(r"\bvar\.(\w+)", text)) == declared


def test_the_state_machine_parses() -> None:
    """By the grammar of the Amazon States Language that moto uses."""
    definition = STATE_MACHINE.read_text()
    StaticAnalyser().analyse(definition)
    shape = (
        botocore.session.get_session()
        .get_service_model("stepfunctions")
        .operation_model("CreateStateMachine")
        .input_shape
    )
    request = {"name": "refire", "definition": definition, "roleArn": "arn:aws:iam::123456789012:role/refire"}
    assert not ParamValidator().validate(request, shape).has_errors()


def test_the_container_is_not_root_and_starts_the_program() -> None:
    """The last stage names a numeric user (Kubernetes checks no other), and no shell stands before the program."""
    stage = (ROOT / "Containerfile").read_text().rpartition("\nFROM ")[2]
    instructions = dict(line.split(maxsplit=1) for line in stage.splitlines()[1:])
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", instructions["USER"])
    assert json.loads(instructions["ENTRYPOINT"])[0].endswith("/refire")
    assert instructions["STOPSIGNAL"] == "SIGTERM"


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """File and words of every `refire run` in the files, with the parameters of AWS Batch put in."""
    for name in REQUESTS:
        for found in commands_in(json.loads((ROOT / name).read_text())):
            yield name, found
    (job,) = yaml.safe_load_all((ROOT / "kubernetes" / "job.yaml").read_text())
    yield "kubernetes/job.yaml", job["spec"]["template"]["spec"]["containers"][0]["args"]
    array = re.search(r"States\.Array\((.*)\)\"", STATE_MACHINE.read_text())
    assert array is not None
    places = {"table": "orders", "checkpoint": "dynamodb://refire-runs/x", "tasks": "4", "task": "0"}
    words = [word.strip() for word in array[1].split(",")]
    yield "step-functions", [places[word[2:]] if word.startswith("$.") else word.strip("'") for word in words]
    tree = ast.parse((ROOT / "airflow" / "refire_orders.py").read_text())
    options = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    options = {option for option in options if isinstance(option, str) and option.startswith("--")}
    values = {"--table": "orders", "--checkpoint": places["checkpoint"], "--tasks": "4", "--task": "0"}
    values["--log-format"] = "json"
    given = [[option, values[option]] if option in values else [option] for option in sorted(options)]
    yield "airflow", ["run", *(word for pair in given for word in pair)]


def commands_in(value: Any) -> Iterator[list[str]]:
    """The lists of words that begin with `run`, or that have it behind a script, anywhere in a JSON value."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "--refire":
                yield shlex.split(member)
            else:
                yield from commands_in(member)
    elif isinstance(value, list):
        if "run" in value:
            yield [WORDS.get(word, word) for word in value[value.index("run") :]]
        else:
            for member in value:
                yield from commands_in(member)


@pytest.mark.parametrize(
    ("name", "words"), [*command_lines()], ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_command_line_parses(name: str, words: list[str]) -> None:
    """Command, options and values are valid, as the program itself reads them."""
    command = program.get_command(click.Context(program), words[0])
    assert command is not None
    with command.make_context(words[0], words[1:], parent=click.Context(program)) as context:
        assert context.params["table"] == "orders"
        assert str(context.params["checkpoint"]).startswith("dynamodb:")


def test_the_scripts_compile() -> None:
    """What the services start: each script is valid Python and imports nothing of refire that is missing."""
    scripts = sorted(ROOT.rglob("*.py"))
    assert {script.parent.name for script in scripts} == {"airflow", "emr", "glue"}
    for script in scripts:
        for node in ast.walk(ast.parse(script.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("refire_async"):
                module = __import__(node.module, fromlist=["main"])
                assert all(hasattr(module, alias.name) for alias in node.names)


def test_retries_follow_the_exit_codes() -> None:
    """Batch starts a task again that can be resumed, and no task that cannot begin."""
    strategy = json.loads((ROOT / "batch" / "register-job-definition.json").read_text())["retryStrategy"]
    again = {
        rule["onExitCode"]
        for rule in strategy["evaluateOnExit"]
        if rule["action"] == "RETRY" and "onExitCode" in rule
    }
    assert again == {"3", "137", "143"}
    assert strategy["evaluateOnExit"][-1] == {"onReason": "*", "action": "EXIT"}
    (job,) = yaml.safe_load_all((ROOT / "kubernetes" / "job.yaml").read_text())
    rules = job["spec"]["podFailurePolicy"]["rules"]
    assert [rule["onExitCodes"]["values"] for rule in rules if rule["action"] == "FailJob"] == [[2, 10, 11]]
