"""The rules of a delivery, from mappings, pipes and options."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refire_async.aws.event_source_mappings import Mapping, parse_mapping
from refire_async.aws.pipes import parse_pipe
from refire_async.delivery.rules import DeliveryRules, rules_of, with_options
from refire_async.errors import RefusedError
from refire_async.settings import DeliverySettings

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:orders"


def test_of_a_mapping() -> None:
    """Every setting that the service has (Lambda API reference: EventSourceMappingConfiguration)."""
    mapping = parse_mapping(
        {
            "FunctionArn": ARN,
            "BatchSize": 250,
            "MaximumBatchingWindowInSeconds": 5,
            "ParallelizationFactor": 10,
            "MaximumRetryAttempts": 2,
            "MaximumRecordAgeInSeconds": 3600,
            "BisectBatchOnFunctionError": True,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "FilterCriteria": {"Filters": [{"Pattern": "{}"}, {"Pattern": '{"eventName":["INSERT"]}'}]},
        }
    )
    assert rules_of(mapping) == DeliveryRules(
        batch_size=250,
        window_s=5.0,
        parallelization=10,
        retries=2,
        max_record_age_s=3600,
        bisect=True,
        partial_failures=True,
        filters=("{}", '{"eventName":["INSERT"]}'),
    )


def test_no_limit_is_minus_one_or_missing() -> None:
    """Both are Lambda's words for it; no retry at all is 0."""
    for entry in ({"MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": -1}, {}):
        rules = rules_of(parse_mapping({"FunctionArn": ARN, **entry}))
        assert (rules.retries, rules.max_record_age_s) == (None, None)
    assert rules_of(parse_mapping({"FunctionArn": ARN, "MaximumRetryAttempts": 0})).retries == 0


def test_of_a_pipe() -> None:
    """A pipe reads partial failures always, and bisects where it is set to."""
    pipe = parse_pipe(
        {
            "Name": "p",
            "Arn": "a",
            "Target": ARN,
            "SourceParameters": {
                "DynamoDBStreamParameters": {"BatchSize": 3, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT"}
            },
        }
    )
    rules = rules_of(pipe)
    assert (rules.batch_size, rules.bisect, rules.partial_failures) == (3, True, True)


def test_encrypted_filters_refuse() -> None:
    """Without them other records would be delivered."""
    mapping = parse_mapping(
        {"FunctionArn": ARN, "KMSKeyArn": "k", "FilterCriteriaError": {"ErrorCode": "KMS"}}
    )
    with pytest.raises(RefusedError, match="encrypted") as caught:
        rules_of(mapping)
    assert "--filter-pattern" in caught.value.action
    assert rules_of(replace(mapping, filters=())).filters == ()


@given(
    batch=st.integers(),
    lanes=st.integers(),
    window=st.integers(-(10**9), 10**9),
    retries=st.none() | st.integers(),
)
def test_settings_are_in_the_bounds_of_the_service(
    batch: int, lanes: int, window: int, retries: int | None
) -> None:
    """Whatever an emulator says."""
    rules = rules_of(
        Mapping(
            function="f",
            enabled=True,
            batch_size=batch,
            parallelization=lanes,
            window_s=window,
            max_retries=retries,
        )
    )
    assert 1 <= rules.batch_size <= 10_000
    assert 1 <= rules.parallelization <= 10
    assert 0 <= rules.window_s <= 300
    assert rules.retries is None or rules.retries >= 0


def test_options_override() -> None:
    """Only those that are given; false and zero are given too."""
    rules = DeliveryRules(batch_size=5, retries=3, bisect=True, filters=("{}",))
    settings = DeliverySettings(function="f", retries=0, bisect=False, filters=())
    assert with_options(rules, settings) == DeliveryRules(batch_size=5, retries=0)
