"""The batches of Bedrock and of Vertex AI behind the port, against a stand-in of both clouds."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from cloud_jobs_server import AWS, TEXT, TOKEN, Clouds, answered, google_account, serving

from batchrun.batch import BatchResult, RemoteBatch, ResultType
from batchrun.execution.batch.reconcile import Creation, after_create
from batchrun.execution.retry_policy import FailureKind, kind_of
from batchrun.job.provider_sections import ProviderSection
from batchrun.providers import AttemptError, BatchProvider
from batchrun.providers.capabilities import capabilities_of
from batchrun.providers.clouds import bedrock_batches
from batchrun.providers.factories import factory_of
from batchrun.reply import Cause

NONCE = "0123456789ab"
SECTIONS: dict[str, dict[str, Any]] = {
    "bedrock": {
        "type": "bedrock",
        "region": "us-east-1",
        "bucket": "s3://documents/of/ours/",
        "role": "arn:aws:iam::123456789012:role/batches",
    },
    "vertex": {"type": "vertex", "region": "europe-west1", "project": "p", "bucket": "gs://documents/of/ours/"},
}
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
FORMAT = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}


@dataclass
class Body:
    """A batch of some requests; at the end it is in doubt."""

    requests: int = 100
    model: str = "claude-haiku-4-5"
    nonce: str = NONCE
    more: dict[str, Any] = field(default_factory=dict)
    size: int = 10_000
    calls: Callable[[], object] = lambda: None
    """Told when the batch may exist from now on."""

    async def members(self) -> AsyncIterator[bytes]:
        for number in range(self.requests):
            params = {
                "model": self.model,
                "max_tokens": 9,
                "messages": [{"role": "user", "content": f"text {number}\u2028é"}],
            }
            member = {"custom_id": f"{self.nonce}-{number:032x}", "params": params | self.more}
            yield json.dumps(member, ensure_ascii=False).encode()
        self.calls()

    async def parts(self) -> AsyncIterator[bytes]:
        raise AssertionError("a cloud is sent members")
        yield b""


@dataclass
class Bench:
    """A cloud, and a client of it that all tests share: to make one takes boto3 a quarter of a second."""

    name: str
    clouds: Clouds
    section: ProviderSection
    runner: asyncio.Runner
    shared: BatchProvider | None = None

    def run(self, scenario: Callable[[BatchProvider], Awaitable[Any]], **changes: Any) -> Any:
        """Run a scenario with the client of the section, or with one of a changed section."""
        return self.runner.run(self._within(scenario, changes))

    async def _within(self, scenario: Callable[[BatchProvider], Awaitable[Any]], changes: dict[str, Any]) -> Any:
        if changes:
            provider = factory_of(self.section.model_copy(update=changes)).make_batches(timeout_s=20)
            try:
                return await scenario(provider)
            finally:
                await provider.close()
        self.shared = self.shared or factory_of(self.section).make_batches(timeout_s=20)
        return await scenario(self.shared)

    def failure(self, scenario: Callable[[BatchProvider], Awaitable[Any]], **changes: Any) -> AttemptError:
        with pytest.raises(AttemptError) as caught:
            self.run(scenario, **changes)
        return caught.value

    def ends(self, how: str) -> None:
        """Let the next job end so, in Bedrock's words."""
        state = {"Stopped": "CANCELLED", "PartiallyCompleted": "PARTIALLY_SUCCEEDED"}
        word = how.partition(":")[0]
        vertex = how.replace(word, "JOB_STATE_" + state.get(word, word.upper()))
        self.clouds.ends.append(vertex if self.name == "vertex" else how)


@pytest.fixture(scope="module", params=SECTIONS)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    clouds, account = Clouds(), tmp_path_factory.mktemp("account") / "account.json"
    with serving(clouds) as address, pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        for name, value in AWS.items():
            patch.setenv(name, value)
        account.write_text(google_account(address))
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
        bench = Bench(request.param, clouds, ProviderSection(**SECTIONS[request.param], base_url=address), runner)
        yield bench
        if bench.shared:
            runner.run(bench.shared.close())


@pytest.fixture
def bench(kept: Bench) -> Iterator[Bench]:
    kept.clouds.begin_anew()
    yield kept
    assert kept.clouds.unsigned == 0


async def results(provider: BatchProvider, batch: RemoteBatch) -> list[BatchResult]:
    return [result async for result in provider.results(batch)]


async def collected(provider: BatchProvider, body: Body | None = None) -> list[BatchResult]:
    created = await provider.create(body or Body())
    return await results(provider, await provider.retrieve(created.batch_id))


def test_a_batch_is_created_found_polled_and_collected(bench: Bench) -> None:
    async def scenario(provider: BatchProvider) -> None:
        created = await provider.create(Body())
        assert created.nonce == NONCE
        assert created.requests == 100
        (listed,) = (page := await provider.page()).batches
        told = await provider.retrieve(created.batch_id)
        assert listed.batch_id == told.batch_id == created.batch_id
        assert (listed.nonce, told.nonce, page.has_more) == (NONCE, NONCE, False)
        assert page.server_time == pytest.approx(told.created_at, abs=5)
        assert told.ended
        assert told.counts["succeeded"] == told.requests == 100
        found = await results(provider, told)
        assert {(one.nonce, one.type) for one in found} == {(NONCE, ResultType.SUCCEEDED)}
        assert {one.request_id for one in found} == {f"{number:032x}" for number in range(100)}
        assert {one.reply.text for one in found if one.reply} == {TEXT}
        assert {one.reply.usage.input_tokens for one in found if one.reply and one.reply.usage} == {20}

    bench.run(scenario)


def test_requests_go_up_in_the_form_of_the_cloud(bench: Bench) -> None:
    bench.run(lambda provider: provider.create(Body()))
    key, data = next(iter(bench.clouds.objects.items()))
    first = json.loads(data.splitlines()[0])
    assert key == f"documents/of/ours/batchrun/{NONCE}/requests.jsonl"
    version = {"bedrock": "bedrock-2023-05-31", "vertex": "vertex-2023-10-16"}[bench.name]
    name, request = {"bedrock": ("recordId", "modelInput"), "vertex": ("custom_id", "request")}[bench.name]
    assert first[name] == f"{NONCE}-{0:032x}"
    message = {"role": "user", "content": "text 0\u2028é"}
    assert first[request] == {"anthropic_version": version, "max_tokens": 9, "messages": [message]}
    assert data.count(b"\n") == 100
    (job,) = bench.clouds.jobs
    model = {"bedrock": "modelId", "vertex": "model"}[bench.name]
    assert job.order[model].endswith("claude-haiku-4-5")


def test_a_tool_stands_in_for_a_schema_where_there_is_none(bench: Bench) -> None:
    unable = {"structured_output": False} if bench.name == "bedrock" else {}
    found = bench.run(lambda provider: collected(provider, Body(more=FORMAT)), **unable)
    key, data = next(iter(bench.clouds.objects.items()))
    request = json.loads(data.splitlines()[0])["modelInput" if bench.name == "bedrock" else "request"]
    assert ("tools" in request, "output_config" in request) == (True, False)
    assert key.endswith("/by-tool.jsonl")
    assert {(json.loads(one.reply.text)["title"], one.reply.tool_input) for one in found} == {("a title", None)}


@pytest.mark.parametrize("lost", ["lost", "500", "never"])
def test_a_lost_answer_leaves_one_batch_or_a_doubt(bench: Bench, lost: str) -> None:
    bench.clouds.faults = [lost]
    if bench.name == "bedrock":  # the token makes the second call harmless
        assert bench.run(lambda provider: provider.create(Body())).nonce == NONCE
        assert (len(bench.clouds.jobs), bench.clouds.calls["bedrock create"]) == (1, 2)
        return
    error = bench.failure(lambda provider: provider.create(Body()))
    assert (after_create(error.failure), error.before_create) == (Creation.UNCLEAR, False)
    assert bench.clouds.calls["vertex create"] == 1


def test_no_answer_twice_is_a_doubt_whatever_the_second_call_says(bench: Bench) -> None:
    for second in ("429", "403", "lost"):
        bench.clouds.faults = ["lost", second]
        error = bench.failure(lambda provider: provider.create(Body()))
        assert (after_create(error.failure), error.before_create) == (Creation.UNCLEAR, False)
        bench.clouds.jobs.clear()


@pytest.mark.parametrize(
    ("fault", "known", "kind"),
    [
        ("429", Creation.LATER, FailureKind.LATER),
        ("quota", Creation.LATER, FailureKind.LATER),
        ("403", Creation.STOP, FailureKind.FORBIDDEN),
    ],
)
def test_a_clear_no_is_no_doubt(bench: Bench, fault: str, known: Creation, kind: FailureKind) -> None:
    bench.clouds.faults = [fault]
    error = bench.failure(lambda provider: provider.create(Body()))
    assert (after_create(error.failure), kind_of(error.failure)) == (known, kind)
    assert bench.clouds.jobs == []


def test_a_batch_is_in_doubt_only_after_the_upload(bench: Bench) -> None:
    uploaded = list[int]()
    bench.run(lambda provider: provider.create(Body(calls=lambda: uploaded.append(len(bench.clouds.objects)))))
    assert uploaded == [1]


def test_an_upload_that_fails_has_created_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_jobs_server.Handler.do_PUT", lambda self: self.body() and self.send(b"", 503))
    monkeypatch.setattr("cloud_jobs_server.Handler.storage", lambda self, *_: self.say({}, 503))
    called = list[int]()
    error = bench.failure(lambda provider: provider.create(Body(calls=lambda: called.append(1))))
    assert (error.before_create, after_create(error.failure, whole=False), called) == (True, Creation.LATER, [])


def test_too_few_requests_are_refused_in_words(bench: Bench) -> None:
    assert capabilities_of(bench.section).min_batch_requests == (100 if bench.name == "bedrock" else 1)
    if bench.name == "bedrock":
        error = bench.failure(lambda provider: provider.create(Body(requests=99)))
        assert "at least 100 requests, and this one has 99" in error.failure.message
        assert (error.before_create, after_create(error.failure), bench.clouds.objects) == (True, Creation.LATER, {})


@pytest.mark.parametrize(
    ("ends", "left"),
    [
        ("Stopped", ResultType.CANCELED),
        ("Expired", ResultType.EXPIRED),
        ("PartiallyCompleted", None),
        ("Failed: the role may not read", ResultType.ERRORED),
    ],
)
def test_what_a_job_left_is_named_by_its_input_file(bench: Bench, ends: str, left: ResultType | None) -> None:
    bench.ends(ends)
    bench.clouds.fates = {"text 7": "left", "text 3\\u2028": "error"}
    left = left or (ResultType.EXPIRED if bench.name == "bedrock" else ResultType.ERRORED)

    async def scenario(provider: BatchProvider) -> list[BatchResult]:
        created = await provider.create(Body())
        told = await provider.retrieve(created.batch_id)
        assert told.requests == 100
        return await results(provider, told)

    found = bench.run(scenario)
    by_id = {one.request_id: one for one in found}
    assert len(found) == len(by_id) == 100
    kinds = Counter(one.type for one in found)
    if ends.startswith("Failed"):
        assert kinds == {ResultType.ERRORED: 100}
        assert {kind_of(one.failure) for one in found} == {FailureKind.REJECTED}
        assert "the role may not read" in by_id[f"{0:032x}"].failure.message
    else:
        assert by_id[f"{7:032x}"].type is left
        error = by_id[f"{3:032x}"]
        assert (error.type, error.failure.message) == (ResultType.ERRORED, "prompt is too long")
        assert kinds[ResultType.SUCCEEDED] == 100 - 12


S3_ERROR = b"<Error><Code>Any</Code><Message>no</Message></Error>"


def line_of(bench: Bench, number: int, nonce: str = NONCE) -> str:
    """A line of an output file with a good answer."""
    name, message = {"bedrock": ("recordId", "modelOutput"), "vertex": ("custom_id", "response")}[bench.name]
    return json.dumps({name: f"{nonce}-{number:032x}", message: answered({})}) + "\n"


def test_second_lines_and_lines_of_others_prove_no_request_unprocessed(bench: Bench) -> None:
    bench.ends("Stopped")
    bench.clouds.fates = {"text 7": "left"}

    async def scenario(provider: BatchProvider) -> list[BatchResult]:
        told = await provider.retrieve((await provider.create(Body())).batch_id)
        key = list(bench.clouds.objects)[-1]
        bench.clouds.objects[key] = bench.clouds.objects[key].partition(b"\n")[2]
        others = line_of(bench, 1) + line_of(bench, 0, "another00000") + '{"recordId": "half of a'
        bench.clouds.objects[key] += others.encode()
        return await results(provider, told)

    found = bench.run(scenario)
    assert ResultType.CANCELED not in {one.type for one in found}
    assert {one.nonce for one in found} == {NONCE, "another00000", ""}


@pytest.mark.parametrize("state", ["JOB_STATE_PAUSED", "Scheduled", "Completed!", ""])
def test_an_unknown_state_is_no_end(bench: Bench, state: str) -> None:
    bench.clouds.takes_s = 60

    async def scenario(provider: BatchProvider) -> RemoteBatch:
        created = await provider.create(Body())
        bench.clouds.jobs[0].status = state
        return await provider.retrieve(created.batch_id)

    assert (told := bench.run(scenario)).status == "in_progress"
    assert told.counts == {"processing": 100}


@pytest.mark.parametrize("status", [301, 403, 404])
def test_a_bucket_that_refuses_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr("cloud_jobs_server.Handler.do_PUT", lambda self: self.body() and self.send(S3_ERROR, status))
    monkeypatch.setattr("cloud_jobs_server.Handler.storage", lambda self, *_: self.say({}, status))
    error = bench.failure(lambda provider: provider.create(Body()))
    assert (error.before_create, kind_of(error.failure)) == (True, FailureKind.MISCONFIGURED)
    assert f"documents/of/ours/batchrun/{NONCE}/requests.jsonl cannot be written" in error.failure.message


@pytest.mark.parametrize("told", [b"[]", b"5", b"\xff", b"[" * 100_000, b'{"x": 1}'])
def test_answers_of_another_form_are_doubt(bench: Bench, monkeypatch: pytest.MonkeyPatch, told: bytes) -> None:
    monkeypatch.setattr("cloud_jobs_server.Handler.job", lambda self, *_: self.send(told))
    assert after_create(bench.failure(lambda provider: provider.create(Body())).failure) is Creation.UNCLEAR
    assert bench.failure(lambda provider: provider.retrieve("b" * 12)).failure.cause is Cause.MALFORMED


@pytest.mark.parametrize("jobs", [5, [5], [{"submitTime": "x", "createTime": "x"}]])
def test_a_list_of_another_form_is_no_list(bench: Bench, monkeypatch: pytest.MonkeyPatch, jobs: object) -> None:
    told = {"invocationJobSummaries": jobs, "batchPredictionJobs": jobs}
    monkeypatch.setattr("cloud_jobs_server.Handler.job", lambda self, *_: self.say(told))
    assert bench.failure(lambda provider: provider.page()).failure.cause is Cause.MALFORMED


def test_a_job_that_was_never_begun_has_processed_nothing() -> None:
    told = {"jobArn": "a/b", "status": "Expired", "submitTime": datetime.fromtimestamp(0, UTC)}
    assert [bedrock_batches.batch_of(told | more).completed for more in ({}, {"successRecordCount": 3})] == [0, 3]


def test_a_job_that_completed_has_a_line_for_every_request(bench: Bench) -> None:
    bench.clouds.fates = {"text 7": "left"}
    assert len(bench.run(collected)) == 89


def test_cancel_may_be_repeated_and_comes_too_late(bench: Bench) -> None:
    async def scenario(provider: BatchProvider) -> None:
        bench.clouds.takes_s = 60
        created = await provider.create(Body())
        assert (await provider.retrieve(created.batch_id)).status == "in_progress"
        for _ in range(2):
            assert (await provider.cancel(created.batch_id)).ended

    bench.run(scenario)
    assert bench.clouds.calls[f"{bench.name} {'cancel' if bench.name == 'vertex' else 'stop'}"] == 2


def test_the_list_is_read_to_its_end_the_newest_first(bench: Bench) -> None:
    async def scenario(provider: BatchProvider) -> list[str]:
        for number in range(5):
            await provider.create(Body(nonce=f"{number:012}"))
        for job in bench.clouds.jobs[-3:] * (bench.name == "bedrock"):
            bench.clouds.created("bedrock", job.order | {"jobName": "theirs", "clientRequestToken": f"x{job.id}"})
        bench.clouds.page = 2
        page, nonces = await provider.page(limit=2), list[str]()
        while True:
            nonces += [str(one.nonce) for one in page.batches]
            if not page.has_more:
                return nonces
            page = await provider.page(after_id=page.batches[-1].batch_id, limit=2)

    assert bench.run(scenario) == [f"{number:012}" for number in reversed(range(5))]


def test_a_download_that_breaks_keeps_what_came(bench: Bench) -> None:
    bench.clouds.cuts = [5_000]
    came = list[BatchResult]()

    async def scenario(provider: BatchProvider) -> None:
        created = await provider.create(Body())
        async for one in provider.results(await provider.retrieve(created.batch_id)):
            came.append(one)

    error = bench.failure(scenario)
    assert kind_of(error.failure) is FailureKind.SILENT
    assert 0 < len(came) < 100


def test_ids_that_are_none_are_never_asked_for(bench: Bench) -> None:
    for name in ("../x", "a/b", ""):
        assert bench.failure(lambda one, name=name: one.retrieve(name)).failure.status == 404
    assert not any(name.endswith("one") for name in bench.clouds.calls)


def test_nobody_there_is_no_doubt(bench: Bench) -> None:
    error = bench.failure(lambda provider: provider.create(Body()), base_url="http://127.0.0.1:1")
    assert (error.before_create, error.failure.cause) == (True, Cause.UNREACHABLE)


def test_no_credential_is_told(bench: Bench) -> None:
    bench.clouds.faults = ["403"]
    error = bench.failure(lambda provider: provider.create(Body()))
    assert not {AWS["AWS_SECRET_ACCESS_KEY"], TOKEN} & set(repr(error.failure).split())
