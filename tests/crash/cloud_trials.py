"""Trials over the batches of Bedrock and of Vertex AI: processes that die, against the stand-in of both clouds."""

import contextlib
import io
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self
from unittest import mock

import boto3
import botocore.httpsession
import google.auth.transport.requests  # noqa: F401 - imported once, for all processes that are forked
import urllib3.connection
from cloud_jobs_server import AWS, INPUT_TOKENS, OUTPUT_TOKENS, Clouds, google_account, started

from batchrun import cli
from batchrun.job.providers import engine_name
from batchrun.proof import moments, trial
from batchrun.proof.audit import Bill, Books, Promise
from batchrun.proof.process import Answering
from batchrun.proof.trial import Kill, Trial, Variant, Verdict
from batchrun.providers import capabilities
from batchrun.providers.anthropic.wire import member_name
from batchrun.providers.clouds import bedrock_batches, vertex_batches  # noqa: F401 - imported once, as above

NUSD = (INPUT_TOKENS * 1_000 + OUTPUT_TOKENS * 5_000) // 2
SECTIONS = {
    "bedrock": 'bucket = "s3://documents/ours"\nregion = "us-east-1"\nrole = "arn:aws:iam::123456789012:role/batches"',
    "vertex": 'bucket = "gs://documents/ours"\nregion = "global"\nproject = "p"',
}
NAMES = {"bedrock": "global.anthropic.claude-haiku-4-5", "vertex": "claude-haiku-4-5"}
"""Global models, whose prices have nothing added."""
ACCOUNT = google_account("http://there")
IN_THE_KERNEL_S = 0.005
SESSION = boto3.Session(region_name="us-east-1")
"""What reads the descriptions of services once, for all processes that are forked."""
PLANNED = set[str]()
"""The providers over which this process has planned a job."""


@dataclass(frozen=True, kw_only=True)
class CloudCase:
    """One way a batch run at a cloud goes, and where it is killed."""

    provider: str
    name: str
    faults: Sequence[str] = ()
    takes_s: float = 0.0
    cuts: Sequence[int] = ()
    kills: int = 1
    every: int = 0
    """The moments that are tried by default; 0 leaves the case to BATCHRUN_KILLS=all."""
    environment: dict[str, str] = field(default_factory=dict)


class CloudTrial(Trial):
    """A trial whose API is the stand-in."""

    def __init__(self, case: CloudCase, root: Path) -> None:
        account = {"GOOGLE_APPLICATION_CREDENTIALS": str(root / "account.json")}
        model = f'name = "{NAMES[case.provider]}"\nmax_tokens = 100'
        super().__init__(
            Variant(provider=case.provider, job={"model": model}, environment={**AWS, **account, **case.environment}),
            cli.run,
            root,
        )
        self._api = Answering(partial(served, case))
        self._case = case

    def __enter__(self) -> Self:
        few = replace(capabilities._OF_TYPE["bedrock"], min_batch_requests=1)
        capabilities._OF_TYPE["bedrock"] = few  # a trial has few documents
        moments._watch_http = watch_both
        trial._COMPILED.add(cli.run)  # the job is planned below, when it is whole
        bedrock_batches.session_of = lambda _: SESSION
        super().__enter__()
        address = self._api.ask().base_url
        (self._root / "account.json").write_text(ACCOUNT.replace("http://there", address))
        job = self._root / "trial.toml"
        head = f'[provider]\ntype = "{self._case.provider}"'
        text = job.read_text()
        assert head in text
        job.write_text(text.replace(head, f'{head}\nbase_url = "{address}"\n{SECTIONS[self._case.provider]}'))
        if self._case.provider not in PLANNED:  # what every process would compile, it inherits
            PLANNED.add(self._case.provider)
            for service in ("s3", "bedrock") if self._case.provider == "bedrock" else ():
                SESSION.client(service, endpoint_url=address)
            with contextlib.redirect_stdout(io.StringIO()), mock.patch.dict(os.environ, self._variant.environment):
                cli.run(["plan", str(job)])
        return self


def served(case: CloudCase) -> Callable[[], Books]:
    """Start the stand-in in this process; return what reads its books."""
    clouds = Clouds(faults=[*case.faults], takes_s=case.takes_s, cuts=[*case.cuts])
    _, address = started(clouds)

    def books() -> Books:
        with clouds.lock:
            for job in clouds.jobs:
                clouds.settle(job)
            bills = [
                Bill(member_name(name)[1], engine_name(case.provider, job.id), NUSD, delivered=True)
                for job in clouds.jobs
                for name in job.succeeded
            ]
            return Books(address, Counter(), bills, Counter())

    return books


WATCH_AIOHTTP = moments._watch_http


def watch_both(moment: moments.Moment) -> None:
    """Watch the calls of boto3 too, which go over urllib3."""
    WATCH_AIOHTTP(moment)
    send = botocore.httpsession.URLLib3Session.send
    connection: Any = urllib3.connection.HTTPConnection
    respond = connection.getresponse

    def sent(self: Any, request: Any) -> Any:
        which = f"{request.method} {request.url.partition('://')[2].partition('/')[2]}"
        moment("before a request is sent", which)
        answer = send(self, request)
        moment("after an answer began", which)
        return answer

    def responded(self: Any, *args: Any, **named: Any) -> Any:
        time.sleep(IN_THE_KERNEL_S)
        moment("after a request is sent")
        return respond(self, *args, **named)

    botocore.httpsession.URLLib3Session.send = sent
    connection.getresponse = responded


def carried_out(case: CloudCase, places: Sequence[int], root: Path) -> Verdict:
    """Kill one process after the other at these moments, and let the last one finish."""
    with CloudTrial(case, root) as one:
        verdict = one.carry_out([Kill(place) for place in places])
    audit = verdict.audit
    if not audit.breaches:
        audit.expect(Promise.LOST, audit.statuses == {"succeeded": 7}, f"{audit.statuses}")
        audit.expect(Promise.BOOKS, verdict.decisions or not audit.unknown, f"{audit.unknown} attempts are unknown")
    return verdict
