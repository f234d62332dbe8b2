"""Objects in S3, where exports, lists of keys and failed batches are."""

from tests.probes.cost import NOTHING, Cost
from tests.probes.facts import Area, Seen, equal
from tests.probes.lab import Lab
from tests.probes.sources import s3_api

area = Area("objects", "Objects in S3", services=("s3",))

_FEW = NOTHING + Cost(writes=0, reads=0, stream_reads=0, object_requests=20)
_CONTENT = b"0123456789"


@area(
    "list-in-order",
    assumed="ListObjectsV2 lists keys with a prefix in the order of their bytes, in pages that lead on by a token.",
    source=s3_api("ListObjectsV2"),
    code="aws/objects.py, delivery/sources/failures.py, sources/export_folder.py",
    rests="Every record, Resume",
    how="Five objects under a prefix and one beside, listed two a page.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    bucket = lab.consumers.bucket()
    for name in ("list/b", "list/a", "list/é", "list/B", "list/a/1", "other"):
        lab.consumers.objects.put_object(Bucket=bucket, Key=name, Body=_CONTENT)
    found: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = lab.consumers.objects.list_objects_v2(Bucket=bucket, Prefix="list/", MaxKeys=2, **more)
        found += [entry["Key"] for entry in page["Contents"]]
        if not page["IsTruncated"]:
            break
        more = {"ContinuationToken": page["NextContinuationToken"]}
    return equal("list/B, list/a, list/a/1, list/b, list/é", found)


@area(
    "range",
    assumed="A GET with Range and the ETag as IfMatch returns the rest of that version, and says so in Content-Range.",
    source=s3_api("GetObject"),
    code="aws/objects.py, sources/remote_list.py",
    rests="Coverage, Every record",
    how="Put ten bytes and get those from the fourth on.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    bucket, client = lab.consumers.bucket(), lab.consumers.objects
    etag = client.put_object(Bucket=bucket, Key="range", Body=_CONTENT)["ETag"]
    answer = client.get_object(Bucket=bucket, Key="range", Range="bytes=4-", IfMatch=etag)
    return equal("456789, bytes 4-9/10", [answer["Body"].read().decode(), answer.get("ContentRange")])


@area(
    "replaced",
    assumed="A GET with the ETag of a version that was replaced is a PreconditionFailed.",
    source=s3_api("GetObject"),
    code="aws/objects.py",
    rests="Resume, Every record",
    how="Put an object, replace it, and get it with the first ETag.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    bucket, client = lab.consumers.bucket(), lab.consumers.objects
    etag = client.put_object(Bucket=bucket, Key="replaced", Body=_CONTENT)["ETag"]
    client.put_object(Bucket=bucket, Key="replaced", Body=b"another")
    answer = lab.attempt(client.get_object, Bucket=bucket, Key="replaced", IfMatch=etag)
    return equal("412 PreconditionFailed", f"{answer.status} {answer.said}")


@area(
    "missing",
    assumed="A missing object is NoSuchKey, a missing bucket NoSuchBucket.",
    source=s3_api("GetObject"),
    code="aws/objects.py",
    rests="Honest end, Honest end of a delivery",
    how="Get an object that is missing, and list a bucket that is.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    bucket, client = lab.consumers.bucket(), lab.consumers.objects
    said = [
        lab.attempt(client.get_object, Bucket=bucket, Key="missing").said,
        lab.attempt(client.list_objects_v2, Bucket=f"{bucket}-missing").said,
    ]
    return equal("NoSuchKey, NoSuchBucket", said)


@area(
    "delete-missing",
    assumed="Deleting an object that is missing succeeds.",
    source=s3_api("DeleteObject"),
    code="aws/objects.py",
    rests="Checkpoint table",
    how="Delete an object that is missing.",
    cost=_FEW,
)
def _(lab: Lab) -> Seen:
    bucket, client = lab.consumers.bucket(), lab.consumers.objects
    return equal("accepted", lab.attempt(client.delete_object, Bucket=bucket, Key="missing").said)
