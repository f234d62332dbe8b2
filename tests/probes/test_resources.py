"""Deleting what is busy, or gone already."""

import pytest
from botocore.exceptions import ClientError

from tests.probes import resources


def refused(code: str) -> ClientError:
    """A refusal of DeleteEventSourceMapping."""
    return ClientError({"Error": {"Code": code, "Message": ""}}, "DeleteEventSourceMapping")


@pytest.mark.parametrize(
    "last", [None, refused("ResourceNotFoundException"), refused("AccessDeniedException")]
)
def test_what_is_busy_is_deleted_later(last: ClientError | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping that is still being made refuses to go. One that is gone is no error, any other refusal is."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    answers = [refused("ResourceInUseException"), refused("ResourceConflictException"), last]

    def operation(**_: str) -> None:
        if error := answers.pop(0):
            raise error

    delete = resources.deleting(operation, UUID="u")
    if last is not None and resources.code_of(last) == "AccessDeniedException":
        with pytest.raises(ClientError, match="AccessDenied"):
            delete()
    else:
        delete()
    assert not answers
