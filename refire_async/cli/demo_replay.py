"""The demo of replay and redrive: a consumer with a bug, what its mapping gave up, and totals that agree again."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from refire_async.aws.session import Session
from refire_async.cli.demo_steps import Demo, run_steps
from refire_async.cli.demo_table import TABLE, change_amounts, create_table, fill_table, make_item
from refire_async.cli.options_to_settings import OutputSettings
from refire_async.cli.streams import print_json
from refire_async.engine.redrive import redrive
from refire_async.engine.replay import replay
from refire_async.errors import ExitCode
from refire_async.model.delivery import DeliveryResult
from refire_async.output.text import count
from refire_async.settings import Connection, DeliverySettings, RedriveSettings, ReplaySettings

_CONSUMER = '''"""Adds up what the amounts of orders have changed by."""
import json, pathlib

STATE = pathlib.Path("turnover.json")

def handler(event, context):
    total = json.loads(STATE.read_text()) if STATE.exists() else 0
    for record in event["Records"]:
        change = record["dynamodb"]
        if FIXED or not change["Keys"]["order_id"]["S"].endswith("13"):
            total += amount(change, "NewImage") - amount(change, "OldImage")
        else:
            raise ValueError("cannot parse this order")  # the bug
    STATE.write_text(json.dumps(total))

def amount(change, image):
    return int(change.get(image, {}).get("amount", {"N": "0"})["N"])

FIXED = False
'''


def run_demo_of_replay(items: int, output: OutputSettings) -> int:
    """Run the demo with `items` items and return the exit code."""

    async def steps(connection: Connection, session: Session, folder: Path) -> int:
        with _working_in(folder):
            return await _DemoOfReplay(items, output, folder, connection, session).run()

    return run_steps(steps)


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class _DemoOfReplay(Demo):
    """The demo of replay and redrive; the methods are in the order in which they run."""

    async def run(self) -> int:
        self._say_where()
        right = await self._fill()
        failed = await self._fail()
        wrong = self._total()
        self._say(f"   its turnover is {count(wrong)}: {count(right - wrong)} are missing.\n")
        mended = await self._redrive(failed)
        return self._end(failed, mended, wrong=wrong, right=right)

    async def _fill(self) -> int:
        self._say(
            f"1. Create a table with a stream: {TABLE}, {count(self._items)} orders; change some of them"
        )
        await create_table(self._session)
        await fill_table(self._session, self._items)
        await change_amounts(self._session, self._items)
        right = sum(int(make_item(n)["amount"]["N"]) for n in range(self._items))
        right += sum(number % 100 for number in range(0, self._items, 3))
        self._say(f"   the turnover of all orders is {count(right)}.\n")
        return right

    async def _fail(self) -> DeliveryResult:
        self._say("2. A consumer adds up NewImage minus OldImage. It has a bug: orders that end in 13 fail.")
        self._write_consumer("turnover", fixed=False)
        self._say(
            f"   $ refire replay --table {TABLE} --since 1h --to python:turnover.handler --bisect --retries 0"
        )
        self._say("   (here in place of Lambda's event source mapping, whose rules it follows)")
        delivery = DeliverySettings(
            to="python:turnover.handler",
            bisect=True,
            retries=0,
            batch_size=100,
            checkpoint=self._folder / "replay.refire",
        )
        settings = ReplaySettings(
            table=TABLE, delivery=delivery, connection=self._connection, since=time.time() - 3600
        )
        result = await replay(settings)
        counts = result.summary.counts
        self._say(
            f"   {count(counts.delivered)} events delivered; {count(counts.failed)} given up, listed in a file,"
        )
        self._say("   as an on-failure destination would have them.")
        return result

    async def _redrive(self, failed: DeliveryResult) -> DeliveryResult:
        self._say("3. Fix the bug, then deliver the failed batches again. A touch would not help:")
        self._say("   its OldImage is the present item, so its difference is zero.")
        self._write_consumer("turnover_fixed", fixed=True)
        source = failed.summary.failed_records_file or ""
        self._say(f"   $ refire redrive {Path(source).name} --to python:turnover_fixed.handler")
        delivery = DeliverySettings(
            to="python:turnover_fixed.handler", checkpoint=self._folder / "redrive.refire"
        )
        result = await redrive(RedriveSettings(source=source, delivery=delivery, connection=self._connection))
        counts = result.summary.counts
        self._say(f"   {count(counts.delivered)} events delivered, {count(counts.failed)} failed.")
        return result

    def _end(self, failed: DeliveryResult, mended: DeliveryResult, *, wrong: int, right: int) -> int:
        total = self._total()
        agree = total == right and mended.exit_code is ExitCode.COMPLETE
        seconds = time.monotonic() - self._began_at
        if self._output.json:
            result = {
                "agree": agree,
                "turnover": right,
                "after_the_bug": wrong,
                "after_the_redrive": total,
                "seconds": round(seconds, 3),
                "replay": failed.summary.to_json(),
                "redrive": mended.summary.to_json(),
            }
            print_json(orjson.dumps(result).decode())
        else:
            word = "Right" if agree else "NOT right: please report this"
            self._say(f"   its turnover is {count(total)}. {word}.\n")
            self._say_time(seconds)
            self._say("Next, with your own table (reads the stream, invokes nothing):")
            self._say("  refire replay --table NAME --function NAME --since 2h --dry-run")
        return int(ExitCode.COMPLETE if agree else ExitCode.UNPROVEN)

    def _write_consumer(self, name: str, *, fixed: bool) -> None:
        text = _CONSUMER.replace("FIXED = False", f"FIXED = {fixed}")
        (self._folder / f"{name}.py").write_text(text)

    def _total(self) -> int:
        state = self._folder / "turnover.json"
        return int(json.loads(state.read_text())) if state.exists() else 0
