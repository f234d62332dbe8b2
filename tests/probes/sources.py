"""Where facts are from: public documentation, API models, and measurements that others have published."""

MEASURED = "measured on the service by the authors of dynoxide (changelog, 2026)"
EXTENDDB = "measured on the service in pull requests of ExtendDB (2026)"
CONFORMANCE = "public conformance tests that pass on the service (Parity Suite)"
LOCALSTACK = (
    "answers of the service, recorded by LocalStack (test_lambda_integration_dynamodbstreams, 2025-11)"
)
MODEL = "API model in botocore"


def dg(page: str) -> str:
    """A page of the DynamoDB Developer Guide."""
    return f"DynamoDB Developer Guide: {page}"


def api(page: str) -> str:
    """A page of the DynamoDB (or DynamoDB Streams) API Reference."""
    return f"DynamoDB API Reference: {page}"


def lg(page: str) -> str:
    """A page of the Lambda Developer Guide."""
    return f"Lambda Developer Guide: {page}"


def lambda_api(page: str) -> str:
    """A page of the Lambda API Reference."""
    return f"Lambda API Reference: {page}"


def sqs_api(page: str) -> str:
    """A page of the SQS API Reference."""
    return f"SQS API Reference: {page}"


def s3_api(page: str) -> str:
    """A page of the S3 API Reference."""
    return f"S3 API Reference: {page}"
