"""`refire spark-submit` prints a command that Spark understands, and refuses a run that cannot be a Spark job."""

import itertools
import shlex
from collections.abc import Callable

import pytest

from refire_async.cli.spark_submit import SCRIPT, Job, command_line
from tests.cli.conftest import Ended

RUN = ("run", "-t", "orders", "--checkpoint", "dynamodb://refire-runs/x", "--tasks", "9")


def test_it_prints_the_command(refire: Callable[..., Ended]) -> None:
    """The words of the run are the script's arguments; nine tasks, four at once in an executor, are three executors."""
    ended = refire("spark-submit", "--master", "yarn", "--archive", "s3://bucket/venv.tar.gz", *RUN)
    assert (ended.code, ended.err) == (0, "")
    words = shlex.split(ended.out)
    assert words[:3] == ["spark-submit", "--master", "yarn"]
    assert words[words.index(str(SCRIPT)) + 1 :] == list(RUN)
    assert SCRIPT.is_file()
    settings = {word for name, word in itertools.pairwise(words) if name == "--conf"}
    assert {"spark.executor.instances=3", "spark.executor.cores=4", "spark.speculation=false"} <= settings
    assert "spark.executorEnv.PYSPARK_PYTHON=./environment/bin/python" in settings
    assert words[words.index("--archives") + 1] == "s3://bucket/venv.tar.gz#environment"


def test_words_with_spaces_stay_whole() -> None:
    job = Job(words=("run", "--where", "a = 'x y'"), tasks=1)
    assert command_line(job)[-2:] == ["--where", "a = 'x y'"]
    assert "--archives" not in command_line(job)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give the run"),
        (("resume", "x"), "give the run"),
        (("run", "-t", "orders", "--tasks", "2"), "DynamoDB table"),
        (("run", "-t", "orders", "--checkpoint", "dynamodb://runs/x"), "--tasks N"),
        ((*RUN, "--task", "1"), "leave it out"),
        ((*RUN, "--taks", "1"), "--taks"),
    ],
)
def test_what_it_refuses(refire: Callable[..., Ended], words: tuple[str, ...], said: str) -> None:
    """One line, before anything is started on a cluster; typos in the words of the run too."""
    ended = refire("spark-submit", *words)
    assert ended.code == 2
    assert len(ended.err.strip().splitlines()) == 1
    assert said in ended.err


def test_without_spark_it_says_how_to_get_it(
    refire: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    ended = refire("spark-submit", "--execute", *RUN)
    assert ended.code == 10
    assert "pip install" in ended.err
