"""Checks our signatures at moto, which computes them anew: of Bedrock's InvokeModel, and of the files of its batches.

    python tests/benchmarks/judge_moto.py

JUDGE_MOTO is the program moto_server (pip install 'moto[server,s3]'). moto has no models and no jobs of Bedrock
(CreateModelInvocationJob): an accepted request to a model is answered with `{}`, which is no message. A request that is
signed with another secret is refused with 403.
"""

import asyncio
import os
import subprocess
import sys

import boto3
from _judge_servers import HERE, free_port, serving, wanted

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


async def asked(address: str) -> Failure:
    """Send a request, which cannot succeed."""
    section = ProviderSection.model_validate({"type": "bedrock", "region": REGION, "base_url": address})
    provider = factory_of(section).make(concurrency=1, timeout_s=20)
    try:
        reply = await provider.send(REQUEST)
    except AttemptError as error:
        return error.failure
    finally:
        await provider.close()
    sys.exit(f"moto has no models, and yet there is a reply: {reply}")


def main() -> None:
    if len(sys.argv) == 2:  # in a process of its own, because the SDK keeps credentials for as long as a process lasts
        failure = asyncio.run(asked(sys.argv[1]))
        print(failure.cause, failure.name, failure.message[:120])
        return
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [wanted("JUDGE_MOTO", "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    good = True
    with serving(command, address, "/moto-api/", INITIAL_NO_AUTH_ACTION_COUNT=str(UNSIGNED_CALLS)):
        key, secret = new_user(address)
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        env |= {"AWS_ACCESS_KEY_ID": key, "PYTHONPATH": str(HERE.parent.parent)}
        for words, said, cause in (("right", secret, Cause.MALFORMED), ("wrong", "x" * 40, Cause.STATUS)):
            own = [sys.executable, __file__, address]
            asking = subprocess.run(
                own, env={**env, "AWS_SECRET_ACCESS_KEY": said}, capture_output=True, text=True, check=False
            )
            good &= asking.stdout.startswith(cause) and said not in asking.stdout + asking.stderr
            print(f"signed with the {words} secret: {asking.stdout}{asking.stderr}", end="")
    sys.exit(not good)


if __name__ == "__main__":
    main()
