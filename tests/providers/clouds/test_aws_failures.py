"""What boto3 raises, as failures; and S3 as moto imitates it, where moto is installed."""

import asyncio
from typing import Any

import botocore.exceptions as boto
import pytest
from botocore.parsers import ResponseParserError
from cloud_jobs_server import AWS

from batchrun.execution.retry_policy import FailureKind, kind_of
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError
from batchrun.providers.clouds.aws_failures import aws_failure
from batchrun.providers.factories import factory_of
from batchrun.reply import Cause

THERE: dict[str, Any] = {"endpoint_url": "https://there", "error": "why"}
KINDS = [
    (boto.EndpointConnectionError(**THERE), FailureKind.UNREACHABLE),
    (boto.ConnectTimeoutError(**THERE), FailureKind.UNREACHABLE),
    (boto.ProxyConnectionError(proxy_url="http://proxy", error="why"), FailureKind.UNREACHABLE),
    (boto.ReadTimeoutError(**THERE), FailureKind.SILENT),
    (boto.ConnectionClosedError(**THERE), FailureKind.SILENT),
    (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), FailureKind.SILENT),
    (ResponseParserError("no JSON"), FailureKind.SILENT),
    (boto.SSLError(endpoint_url="https://there", error="CERTIFICATE_VERIFY_FAILED"), FailureKind.MISCONFIGURED),
    (boto.SSLError(endpoint_url="https://there", error="broken"), FailureKind.SILENT),
    (boto.NoCredentialsError(), FailureKind.NO_KEY),
    (boto.TokenRetrievalError(provider="sso", error_msg="expired"), FailureKind.NO_KEY),
    (boto.PaginationError(message="the same token twice"), FailureKind.SILENT),
    (boto.InvalidRegionError(region_name="_"), FailureKind.MISCONFIGURED),
    (boto.ParamValidationError(report="a bucket has no such name"), FailureKind.MISCONFIGURED),
]
REFUSALS = [
    ("ThrottlingException", 429, FailureKind.LATER),
    ("ServiceQuotaExceededException", 400, FailureKind.LATER),
    ("AccessDeniedException", 403, FailureKind.FORBIDDEN),
    ("AccessDenied", 403, FailureKind.FORBIDDEN),
    ("ExpiredTokenException", 403, FailureKind.BAD_KEY),
    ("ExpiredToken", 400, FailureKind.BAD_KEY),
    ("RequestTimeTooSkewed", 403, FailureKind.BAD_KEY),
    ("ValidationException", 400, FailureKind.REJECTED),
    ("ConflictException", 400, FailureKind.CONFLICT),
    ("InternalServerException", 500, FailureKind.SILENT),
    ("SlowDown", 503, FailureKind.SILENT),
    ("NoSuchBucket", 404, FailureKind.NOT_FOUND),
]


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=lambda one: getattr(type(one), "__name__", ""))
def test_errors_of_boto3(error: Exception, kind: FailureKind) -> None:
    failure = aws_failure(error)
    assert failure is not None
    assert kind_of(failure) is kind


@pytest.mark.parametrize(("code", "status", "kind"), REFUSALS)
def test_refusals(code: str, status: int, kind: FailureKind) -> None:
    answer: Any = {"Error": {"Code": code, "Message": "no\x1b"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    failure = aws_failure(boto.ClientError(answer, "CreateModelInvocationJob"))
    assert failure is not None
    assert (kind_of(failure), failure.message) == (kind, "no\\x1b")


def test_a_bug_is_no_failure() -> None:
    assert aws_failure(KeyError("a bug")) is None


def test_files_go_to_s3_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto")
    import boto3
    from test_cloud_batches import SECTIONS, Body

    for name, value in AWS.items():
        monkeypatch.setenv(name, value)

    async def scenario() -> list[bytes]:
        provider: Any = factory_of(ProviderSection(**SECTIONS["bedrock"])).make_batches(timeout_s=20)
        with pytest.raises(AttemptError) as missing:
            await provider.create(Body())
        assert (missing.value.failure.cause, missing.value.before_create) == (Cause.MISCONFIGURED, True)
        assert "s3://documents/of/ours/batchrun/0123456789ab/requests.jsonl cannot be written" in str(missing.value)
        storage = boto3.client("s3", region_name="us-east-1")
        storage.create_bucket(Bucket="documents")
        with pytest.raises(NotImplementedError, match="create_model_invocation_job"):  # moto has no jobs
            await provider.create(Body())
        return [line async for line in provider._lines("s3://documents/of/ours/batchrun/0123456789ab/requests.jsonl")]

    with moto.mock_aws():
        assert len(asyncio.run(scenario())) == 100
