"""A Spark session with two executors, which are processes of their own."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.backends import REGION, Backend, BackendName, connected

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Executors live for seconds here: nothing is worth compiling well, and their heap needs one thread."""

KEY, SECRET = "SPARK", "planted-secret-of-the-driver/0aF+"
"""Credentials of the driver, which executors find in their environment. They may appear nowhere else."""


@pytest.hookimpl(tryfirst=True)  # before `-m` is applied
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need Spark, whose own Python code leaves sockets open and uses what is deprecated."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.spark)
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SparkSession"]:
    """`local-cluster[2,1,1024]`: two executors with a core each. A task may fail more often than tests kill it."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["REFIRE_TEST_KILLS"] = str(tmp_path_factory.mktemp("kills"))
    os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION}
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    folder = tmp_path_factory.mktemp("spark")
    session = (
        SparkSession.builder.master("local-cluster[2,1,1024]")
        .config("spark.ui.enabled", "false")
        .config("spark.task.maxFailures", "40")
        .config("spark.deploy.maxExecutorRetries", "-1")
        .config("spark.local.dir", str(folder))
        .config("spark.executor.memory", "512m")
        .config("spark.executor.extraJavaOptions", JAVA_OPTIONS)
        .config("spark.driver.extraJavaOptions", JAVA_OPTIONS)
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.executorEnv.PYTHONPATH", f"{HERE / 'hooks'}:{ROOT}")
        .getOrCreate()
    )
    outputs = outputs_of(session)
    yield session
    session.stop()
    shutil.rmtree(outputs, ignore_errors=True)


def outputs_of(spark: "SparkSession") -> Path:
    """The folder with the standard output and error of the session's executors."""
    import pyspark

    return Path(pyspark.__file__).parent / "work" / spark.sparkContext.applicationId


@pytest.fixture
def backend(backend_name: BackendName, request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A running DynamoDB, with the credentials of the executors."""
    url = request.getfixturevalue(f"{backend_name.replace('-', '_')}_url")
    with connected(backend_name, url, KEY) as connection:
        yield connection


@pytest.fixture
def kills() -> Iterator[Path]:
    """The folder of planned kills, empty at first."""
    folder = Path(os.environ["REFIRE_TEST_KILLS"])
    for left in folder.iterdir():
        left.unlink()
    yield folder
    for left in folder.iterdir():
        left.unlink()
