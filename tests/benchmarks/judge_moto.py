"""Checks our signatures at moto, which computes them anew: of Bedrock's InvokeModel, and of the files of its batches.

    python tests/benchmarks/judge_moto.py

JUDGE_MOTO is the program moto_server (pip install 'moto[server,s3]'). moto has no models and no jobs of Bedrock
(CreateModelInvocationJob): an accepted request to a model is answered with `{}`, which is no message. A request that is
signed with another secret is refused with 403.
"""

import asyncio
import json
import os
import sys

import boto3
from _judge_servers import free_port, serving, wanted

from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError
from batchrun.providers.factories import factory_of
from batchrun.reply import Cause, Failure
from batchrun.request import Request

REGION = "eu-central-1"
UNSIGNED_CALLS = 3
"""How many calls moto takes unsigned: those that make the user."""
ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
REQUEST = Request.of(
    {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "ü, a letter"}]}
)


def new_user(address: str) -> tuple[str, str]:
    """Make a user that may do everything; return the id and the secret of its key."""
    iam = boto3.client(
        "iam", endpoint_url=address, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
    )
    iam.create_user(UserName="judge")
    key = iam.create_access_key(UserName="judge")["AccessKey"]
    iam.put_user_policy(UserName="judge", PolicyName="all", PolicyDocument=ALL)
    return key["AccessKeyId"], key["SecretAccessKey"]


async def asked(address: str, max_tokens: int) -> Failure:
    """Send a request, which cannot succeed."""
    section = ProviderSection.model_validate({"type": "bedrock", "region": REGION, "base_url": address})
    provider = factory_of(section).make(concurrency=1, timeout_s=20)
    request = Request.of({**json.loads(REQUEST.body), "max_tokens": max_tokens})
    try:
        reply = await provider.send(request)
    except AttemptError as error:
        return error.failure
    finally:
        await provider.close()
    sys.exit(f"moto has no models, and yet there is a reply: {reply}")


def main() -> None:
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [wanted("JUDGE_MOTO", "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    good = True
    with serving(command, address, "/", INITIAL_NO_AUTH_ACTION_COUNT=str(UNSIGNED_CALLS)):
        key, secret = new_user(address)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"):
            os.environ.pop(name, None)
        os.environ["AWS_ACCESS_KEY_ID"] = key
        for words, said, cause in (("right", secret, Cause.MALFORMED), ("wrong", "x" * 40, Cause.STATUS)):
            os.environ["AWS_SECRET_ACCESS_KEY"] = said
            failure = asyncio.run(asked(address, 50))
            good &= failure.cause is cause and secret not in repr(failure)
            print(f"signed with the {words} secret: {failure.name}, {failure.message[:120]}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
