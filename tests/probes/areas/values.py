"""Keys, numbers and text: which values are the same, and which are refused."""

from tests.probes.facts import Area, Seen, equal, seen_if
from tests.probes.lab import Lab
from tests.probes.sources import api, dg
from tests.probes.tables import PK

area = Area("values", "Keys, numbers and text", tables=("simple",))

_N = {"N": "1"}


@area(
    "number-form",
    assumed="A number comes back without leading and trailing zeros and without an exponent.",
    source=dg("Supported data types: numbers"),
    code="model/marker.py, sources/canonical.py, verification/encoding.py",
    rests="Once, Verification",
    how="Put 007, 1.50, 1E+2, -0 and 5E-3 and read them.",
)
def _(lab: Lab) -> Seen:
    sent = ("007", "1.50", "1E+2", "-0", "5E-3")
    key = lab.put("simple", **{f"n{place}": {"N": text} for place, text in enumerate(sent)})
    found = lab.get("simple", key) or {}
    return equal("7, 1.5, 100, 0, 0.005", [found[f"n{place}"]["N"] for place in range(len(sent))])


@area(
    "number-equality",
    assumed="A condition compares numbers by value: 1.0 equals 1, and 100 equals 1E+2.",
    source=dg("Supported data types: numbers"),
    code="model/marker.py, pipeline/writers/update.py",
    rests="Once",
    how="The condition revision = 1E+2 on an item whose revision is 100.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", revision={"N": "100"})
    return equal("true", lab.check("simple", key, "revision = :v", values={"v": {"N": "1E+2"}}))


@area(
    "number-38-digits",
    assumed="Numbers of 38 significant digits are kept exactly; 39 digits are refused.",
    source=dg("Supported data types: numbers"),
    code="model/marker.py",
    rests="No harm, Once",
    how="Put a number of 38 nines and read it; put one of 39 digits that are not zero.",
)
def _(lab: Lab) -> Seen:
    digits = "9" * 38
    key = lab.put("simple", n={"N": digits})
    kept = (lab.get("simple", key) or {})["n"]["N"] == digits
    more = lab.attempt(
        lab.dynamodb.put_item,
        TableName=lab.table("simple"),
        Item={PK: {"S": lab.key()}, "n": {"N": "1" * 39}},
    )
    return equal("38 kept, 39 ValidationException", f"38 {'kept' if kept else 'changed'}, 39 {more.said}")


@area(
    "number-sum-is-exact",
    assumed="SET n = n + 1 adds exactly, up to 38 digits.",
    source=dg("Update expressions"),
    code="cli/demo_table.py, sandbox/numbers.py",
    rests="Sandbox",
    how="Add 1 to a number of 38 digits.",
    believed={"ministack": "the service, after its documentation: ministack rounds"},
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple", n={"N": "1" + "0" * 36 + "1"})
    lab.update("simple", key, "SET n = n + :one", values={"one": _N})
    return equal("1" + "0" * 36 + "2", (lab.get("simple", key) or {})["n"]["N"])


@area(
    "unicode-keys-differ",
    assumed="Keys are compared by their bytes: é as one character and as two are two items.",
    source=dg("Supported data types: strings are UTF-8"),
    code="sources/canonical.py, model/keys.py, delivery/keys.py",
    rests="Coverage, Order",
    how="Put both, change one, read both.",
)
def _(lab: Lab) -> Seen:
    base = lab.key()
    keys = [f"{base}-\u00e9", f"{base}-e\u0301"]
    for key in keys:
        lab.dynamodb.put_item(TableName=lab.table("simple"), Item={PK: {"S": key}, "v": {"S": key}})
    lab.update("simple", keys[0], "SET v = :v", values={"v": {"S": "changed"}})
    found = [(lab.get("simple", key) or {}).get("v", {}).get("S") for key in keys]
    return seen_if(found == ["changed", keys[1]], "two items" if found[1] == keys[1] else "one item")


@area(
    "number-keys-are-values",
    assumed="1, 1.0 and 10E-1 as a sort key address the same item.",
    source=dg("Supported data types: numbers"),
    code="sources/canonical.py, model/keys.py, delivery/keys.py",
    rests="Once, Order",
    how="Put an item with the sort key 1.0 and read it as 1 and as 10E-1.",
    tables=("sorted",),
    believed={"ministack": "the service, after its documentation: ministack compares the text of a number"},
)
def _(lab: Lab) -> Seen:
    key = lab.put("sorted", sk={"N": "1.0"})
    found = [lab.get("sorted", key, sk={"N": text}) is not None for text in ("1", "10E-1")]
    return equal("found, found", ["found" if one else "not found" for one in found])


@area(
    "index-key-type",
    assumed="An update that gives an index key attribute another type than the index has is a ValidationException.",
    source=dg("Using global secondary indexes"),
    code="preflight/marker.py, aws/errors.py",
    rests="Honest end, Check",
    how="SET of the hash key of a global index to a number; it is a string there.",
    tables=("indexed",),
    believed={"dynamodb-local": "the service, after its documentation: DynamoDB Local checks PutItem only"},
)
def _(lab: Lab) -> Seen:
    key = lab.put("indexed", sk=_N)
    answer = lab.update("indexed", key, "SET g = :v", values={"v": _N}, sort={"sk": _N})
    return equal("ValidationException", answer.said)


@area(
    "empty-key",
    assumed="An empty string as a key is a ValidationException; as another attribute it is allowed.",
    source=api("PutItem"),
    code="sources/key_decoder.py, sandbox/values.py",
    rests="Honest end",
    how="Put an item with an empty key, and one with an empty attribute.",
)
def _(lab: Lab) -> Seen:
    table = lab.table("simple")
    key = lab.attempt(lab.dynamodb.put_item, TableName=table, Item={PK: {"S": ""}})
    other = lab.attempt(lab.dynamodb.put_item, TableName=table, Item={PK: {"S": lab.key()}, "v": {"S": ""}})
    return equal("key ValidationException, attribute accepted", f"key {key.said}, attribute {other.said}")


@area(
    "key-is-fixed",
    assumed="An UpdateItem cannot change a key attribute: ValidationException.",
    source=api("UpdateItem"),
    code="preflight/marker.py",
    rests="No harm, Check",
    how="SET of the hash key.",
)
def _(lab: Lab) -> Seen:
    key = lab.put("simple")
    answer = lab.update("simple", key, "SET #k = :v", names={"k": PK}, values={"v": {"S": "other"}})
    return equal("ValidationException", answer.said)
