"""A refire run of four tasks from Airflow 3, on its workers. A try that fails is repeated, and resumes."""

import subprocess
from datetime import timedelta

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

REFIRE = "/opt/refire/bin/refire"
"""In a virtual environment of its own: Airflow pins other versions of boto3 and aiohttp."""

TASKS = 4
CHECKPOINTS = "dynamodb://refire-runs"


@dag(
    schedule=None,
    params={"table": Param("orders", type="string"), "run_id": Param("orders-2026-12-01", type="string")},
    tags=["refire"],
)
def refire_orders() -> None:
    """Touch every item of a table once, by several tasks on one checkpoint table."""

    @task(retries=10, retry_delay=timedelta(seconds=30))
    def touch(number: int) -> None:
        params = get_current_context()["params"]
        words = [REFIRE, "run", "--table", params["table"]]
        words += ["--checkpoint", f"{CHECKPOINTS}/{params['run_id']}", "--tasks", str(TASKS)]
        words += ["--task", str(number), "--yes", "--json", "--log-format", "json"]
        process = subprocess.Popen(words)
        try:
            code = process.wait()
        finally:
            process.terminate()  # Airflow ends this try: let the program save
            process.wait()
        if code in (2, 10, 11):
            raise AirflowFailException(f"refire cannot begin (exit code {code}): see the log")
        if code not in (0, 4):  # 4: complete; `refire status` lists what failed
            raise RuntimeError(f"refire stopped (exit code {code}); the next try resumes")

    touch.expand(number=list(range(TASKS)))


refire_orders()
