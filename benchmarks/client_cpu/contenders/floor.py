"""The floor: a bare loop over aiohttp, orjson, a signature and PartiQL batches of 25. It promises nothing.

No retries, no budget, no checkpoint, no look at members that failed beyond "is there one": what is left is what any
asynchronous client in Python over aiohttp has to spend.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time

import aiohttp
import orjson
from yarl import URL

from benchmarks.client_cpu.contenders.common import BATCH, REGION, Job, run, statement

_CONTENT_TYPE = "application/x-amz-json-1.0"
_SIGNED = "content-type;host;x-amz-date;x-amz-target"
_ACCESS_KEY, _SECRET_KEY = "AKIDEXAMPLE", "secret"


class Client:
    """Signs and posts; the signing key is made once."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = URL(url + "/")
        self._host = f"{self._url.host}:{self._url.port}"
        day = time.strftime("%Y%m%d", time.gmtime())
        key = f"AWS4{_SECRET_KEY}".encode()
        for part in (day, REGION, "dynamodb", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._key = key
        self._scope = f"{day}/{REGION}/dynamodb/aws4_request"

    async def call(self, operation: str, body: bytes) -> bytes:
        """Post once and return the answer's body; anything but 200 ends the program."""
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        target = f"DynamoDB_20120810.{operation}"
        canonical = (
            f"POST\n/\n\ncontent-type:{_CONTENT_TYPE}\nhost:{self._host}\nx-amz-date:{date}\nx-amz-target:{target}\n\n"
            f"{_SIGNED}\n{hashlib.sha256(body).hexdigest()}"
        )
        to_sign = f"AWS4-HMAC-SHA256\n{date}\n{self._scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        headers = {
            "Content-Type": _CONTENT_TYPE,
            "X-Amz-Date": date,
            "X-Amz-Target": target,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={_ACCESS_KEY}/{self._scope}, "
            f"SignedHeaders={_SIGNED}, Signature={signature}",
        }
        async with self._session.post(self._url, data=body, headers=headers) as response:
            if response.status != 200:
                raise SystemExit(f"status {response.status}")
            return await response.read()


async def touch_segment(client: Client, job: Job, segment: int) -> None:
    """Scan a segment and touch what is on each page, batch after batch."""
    change, create = statement(job.table, marked=True), statement(job.table, marked=False)
    scan = {
        "TableName": job.table,
        "Segment": segment,
        "TotalSegments": job.segments,
        "ProjectionExpression": "pk, revision",
    }
    while True:
        page = orjson.loads(await client.call("Scan", orjson.dumps(scan)))
        items = page["Items"]
        for start in range(0, len(items), BATCH):
            members = []
            for item in items[start : start + BATCH]:
                old = item.get("revision")
                if old is None:
                    members.append({"Statement": create, "Parameters": [{"N": "1"}, item["pk"]]})
                else:
                    new = {"N": str(int(old["N"]) + 1)}
                    members.append({"Statement": change, "Parameters": [new, item["pk"], old]})
            body = await client.call("BatchExecuteStatement", orjson.dumps({"Statements": members}))
            if any("Error" in member for member in orjson.loads(body)["Responses"]):
                raise SystemExit("a member failed")
        last = page.get("LastEvaluatedKey")
        if last is None:
            return
        scan["ExclusiveStartKey"] = last


async def main(job: Job) -> None:
    """As many segments at a time as there are workers."""
    segments = iter(range(job.segments))
    connector = aiohttp.TCPConnector(limit=job.workers)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        client = Client(session, job.url)

        async def work() -> None:
            for segment in segments:
                await touch_segment(client, job, segment)

        await asyncio.gather(*(work() for _ in range(job.workers)))


if __name__ == "__main__":
    run(main)
