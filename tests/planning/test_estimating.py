"""What a plan learns before anything is sent: from a sample, from the API's counts, from the job's own answers."""

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from command_line import KEY, serving
from scripted_batches_memory import BatchApi, WallClock
from scripted_provider import BAD_KEY, ScriptedProvider, answer, status
from trial_project import TrialProject

from batchrun.estimation.sampling import UNKNOWN_RATIO
from batchrun.planning.calibration_data import ENOUGH
from batchrun.planning.plan_table import PlannedDocuments
from batchrun.planning.selection import Selection
from batchrun.providers import AttemptError, TokenCounter
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure, Usage
from batchrun.request import Request
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.requests.token_count import count_prompt
from batchrun.strategy.plan import Kind, Plan
from batchrun.workflow.open_job import SubmitOptions, open_job

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_output")]

TEXT = "the supplier shall deliver goods within thirty days of any order and be paid on receipt of an invoice"
PROMPT = 'system = "Extract what is asked for."\nuser = "Read this:\\n{{ doc.text }}"'


@dataclass
class Api:
    """The simulated API as a factory, watched: what it was asked to count, and from when on it fails."""

    factory: AnthropicFactory
    asked: list[dict[str, Any]] = field(default_factory=list)
    fails_after: int = 10**9

    def __getattr__(self, name: str) -> Any:
        return getattr(self.factory, name)

    def make_counter(self, *, timeout_s: float) -> TokenCounter:
        return Watched(self.factory.make_counter(timeout_s=timeout_s), self)

    @property
    def prompts(self) -> list[str]:
        """What the user's message was, of each."""
        return [content_of(params["messages"][0]["content"]) for params in self.asked]


def content_of(content: Any) -> str:
    """As one text, also when a part of it is marked for the cache."""
    return content if isinstance(content, str) else "".join(block["text"] for block in content)


@dataclass
class Watched:
    counter: TokenCounter
    api: Api

    async def count(self, request: Request) -> int:
        self.api.asked.append(json.loads(request.body))
        if len(self.api.asked) > self.api.fails_after:
            raise AttemptError(Failure(cause=Cause.STATUS, status=429, message="later"))
        return await self.counter.count(request)

    async def close(self) -> None:
        await self.counter.close()


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with serving() as running:
        yield running


@pytest.fixture
def api(server: SimulatorServer) -> Api:
    return Api(AnthropicFactory(base_url=server.base_url, api_key=KEY))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that tiktoken has counted."""
    from batchrun.planning import planner

    texts: list[str] = []
    count = planner.count_tokens

    def watched(text: str) -> int:
        texts.append(text)
        return count(text)

    monkeypatch.setattr(planner, "count_tokens", watched)
    return texts


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any job is so large that only about ten of its documents are counted."""
    monkeypatch.setattr("batchrun.planning.planner.COUNTED_AT_ONCE", 0)
    monkeypatch.setattr("batchrun.estimation.sampling.MOST_SAMPLED", 10)


def text(number: int, words: int) -> str:
    chance = random.Random(number)
    return f"{number} " + " ".join(chance.choices(TEXT.split(), k=words))


def fill(project: TrialProject, count: int) -> list[str]:
    """So many documents of 20 to 2,000 words."""
    chance = random.Random(20_261_127)
    texts = [text(number, int(chance.lognormvariate(5, 0.8)) + 20) for number in range(count)]
    for number, one in enumerate(texts):
        project.document(f"{number:04}.txt", one)
    return texts


def plan(
    project: TrialProject,
    selection: Selection | None = None,
    *,
    counter: Any = None,
    online: int = 30,
    exact: bool = False,
) -> Plan:
    with open_job(project.root / "jobs/trial.toml", simulated=False, to_run=False) as opened:
        planner = opened.planner(SubmitOptions(exact=exact))
        return asyncio.run(planner.plan(selection or Selection(), counter=counter, online=online))


def width(one: Plan) -> float:
    return (one.estimate.input.high - one.estimate.input.low) / one.estimate.input.mean


# --- a sample


def test_few_documents_are_all_counted(project: TrialProject, counted: list[str]) -> None:
    texts = fill(project, 30)

    assert plan(project).evidence.guessed == 0
    assert set(texts) <= set(counted)


@pytest.mark.usefixtures("large")
def test_of_many_documents_only_a_sample_is_counted(project: TrialProject, counted: list[str]) -> None:
    giant = text(200, 8_000)
    project.document("giant.txt", giant)
    texts = [*fill(project, 200), giant]

    found = plan(project)

    sample = set(texts) & set(counted)
    assert 5 <= len(sample) <= 10
    assert found.evidence.guessed == found.to_send - len(sample)
    assert giant in sample, "it is larger than a step"


@pytest.mark.usefixtures("large")
def test_exactly_means_that_all_are_counted(project: TrialProject, counted: list[str]) -> None:
    texts = fill(project, 200)

    assert plan(project, exact=True).evidence.guessed == 0
    assert set(texts) <= set(counted)


@pytest.mark.usefixtures("large")
def test_the_sample_comes_near_the_count(project: TrialProject) -> None:
    fill(project, 200)

    sampled, exact = plan(project).estimate, plan(project, exact=True).estimate

    assert sampled.documents == exact.documents == 200
    assert sampled.input.mean == pytest.approx(exact.input.mean, rel=0.02)
    assert sampled.cost_nusd.mean == pytest.approx(exact.cost_nusd.mean, rel=0.02)
    assert sampled.input.low <= exact.input.mean <= sampled.input.high
    assert (sampled.input.high - sampled.input.low) > (exact.input.high - exact.input.low)


def test_the_first_documents_are_counted_in_the_order_of_the_source(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch, counted: list[str]
) -> None:
    texts = fill(project, 100)
    monkeypatch.setattr("batchrun.planning.planner.COUNTED_AT_ONCE", sum(map(len, texts[:50])))
    monkeypatch.setattr("batchrun.estimation.sampling.MOST_SAMPLED", 5)
    monkeypatch.setattr(
        "batchrun.documents.MAX_SHARD_DOCUMENTS", 10
    )  # the documents of a shard are all counted or none

    found = plan(project)

    assert set(texts[:50]) <= set(counted)
    assert len(set(texts[50:]) & set(counted)) == 5
    assert found.evidence.guessed == 45


@pytest.mark.usefixtures("large")
def test_a_document_that_may_be_too_large_is_always_counted(project: TrialProject) -> None:
    project.job(source='type = "files"\ninclude = ["docs/*.txt"]\nmax_document_tokens = 1_000\non_oversize = "skip"')
    fill(project, 100)
    project.document("giant.txt", text(1_000, 3_000))

    found, exact = plan(project), plan(project, exact=True)

    assert found.counts[Kind.TOO_LARGE] == exact.counts[Kind.TOO_LARGE] >= 1
    assert found.evidence.guessed > 0


@pytest.mark.usefixtures("large")
def test_only_what_is_sent_is_counted(project: TrialProject, counted: list[str]) -> None:
    texts = fill(project, 200)
    for number in range(50):
        project.document(f"copy {number:04}.txt", texts[0])

    found = plan(project, Selection(sources=("*/00[0-3]*", "*copy*"), limit=20))

    assert found.to_send == found.estimate.documents == 20
    assert len(set(counted) & set(texts)) <= 20
    assert found.evidence.guessed == 20 - len(set(counted) & set(texts))


@pytest.mark.usefixtures("large")
def test_identical_documents_are_all_alike(project: TrialProject) -> None:
    for number in range(100):
        project.document(f"{number}.txt", text(1, 200))

    found, exact = plan(project), plan(project, exact=True)

    assert (found.to_send, found.counts[Kind.IDENTICAL]) == (1, 99)
    assert found.estimate == exact.estimate
    assert found.evidence.guessed == 0


@pytest.mark.usefixtures("large")
def test_one_document_is_its_own_sample(project: TrialProject) -> None:
    project.document("one.txt", text(1, 200))

    assert plan(project) == plan(project, exact=True)


@pytest.mark.usefixtures("large")
def test_no_document_at_all(project: TrialProject) -> None:
    project.document("empty.txt", " ")

    found = plan(project)

    assert (found.to_send, found.evidence.guessed, found.estimate.upper_nusd) == (0, 0, 0)


@pytest.mark.usefixtures("large")
def test_a_guess_is_told_from_a_count_in_the_ledger(project: TrialProject) -> None:
    fill(project, 60)

    project.submit(ScriptedProvider(default=BAD_KEY))

    found = dict(project.ask("select guessed, count(*) from requests group by 1"))
    assert found == {0: 60 - project.plans[0].evidence.guessed, 1: project.plans[0].evidence.guessed}
    assert found[1] > 40


def reserved(project: TrialProject) -> dict[str, int]:
    return dict(project.ask("select doc_id, reserved_nusd from attempts order by 1"))


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("route", ["stream", "batch"])
def test_a_run_sets_aside_by_the_count_and_not_by_the_guess(
    project: TrialProject, tmp_path: Path, clock: WallClock, route: str
) -> None:
    exact = TrialProject(tmp_path / "exact")
    for one in (project, exact):
        one.job(run=f'route = "{route}"', batch='poll_interval = "10s"')
        fill(one, 60)

    exact.submit(BatchApi(clock), options=SubmitOptions(exact=True))
    project.submit(BatchApi(clock))

    assert project.plans[0].evidence.guessed == 50
    assert len(reserved(exact)) == 60
    assert reserved(project) == reserved(exact)


@pytest.mark.usefixtures("large")
def test_documents_that_changed_meanwhile_are_passed_over(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch, counted: list[str], api: Api
) -> None:
    texts = fill(project, 40)
    mark_identical = PlannedDocuments.mark_identical

    def changed(planned: PlannedDocuments) -> None:
        """Between the first look at the documents and the second."""
        for number in range(20):
            project.document(f"{number:04}.txt", "another text")
        for number in range(20, 40):
            (project.root / f"docs/{number:04}.txt").unlink()
        mark_identical(planned)

    monkeypatch.setattr(PlannedDocuments, "mark_identical", changed)

    found = plan(project, counter=api, online=5)

    assert found.evidence.guessed == 40
    assert set(counted).isdisjoint({*texts, "another text"})
    assert api.prompts == [], "there is no prompt without a document"
    guess = sum(round(len(one.encode()) * UNKNOWN_RATIO) for one in texts)
    assert found.estimate.input.mean == pytest.approx(guess * 1.13 + 40 * found.estimate.fixed_tokens, rel=0.01)


# --- counts of the API


def request_of(one: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }
    return {
        "system": "Extract what is asked for.",
        "messages": [{"role": "user", "content": f"Read this:\n{one}"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }


def test_the_api_counts_a_few_and_the_interval_narrows(project: TrialProject, api: Api) -> None:
    project.job(prompt=PROMPT)
    texts = fill(project, 200)
    guess = plan(project)

    found = plan(project, counter=api, online=30)

    *documents, bare = api.asked
    assert len(documents) == pytest.approx(30, abs=1)
    assert found.evidence == replace(guess.evidence, online=len(api.asked))
    assert width(found) < 0.4 * width(guess)
    truth = sum(count_prompt(request_of(one), "old") for one in texts)
    assert found.estimate.input.low <= truth <= found.estimate.input.high
    assert found.estimate.input.mean == pytest.approx(truth, rel=0.02)
    assert api.prompts[-1] == "Read this:\n"
    assert found.estimate.fixed_tokens == pytest.approx(count_prompt(bare, "old"), rel=0.05)
    assert found.estimate.output == guess.estimate.output, "that it does not tell"


def test_nothing_is_sent_that_costs(project: TrialProject, api: Api, server: SimulatorServer) -> None:
    fill(project, 5)

    plan(project, counter=api)

    assert api.asked
    assert not server.books.entries


def test_of_few_documents_all_are_counted_and_their_total_is_known(project: TrialProject, api: Api) -> None:
    """However much they differ in size."""
    project.job(prompt=PROMPT)
    texts = [text(number, 10 * 2**number) for number in range(9)]
    for number, one in enumerate(texts):
        project.document(f"{number}.txt", one)

    found = plan(project, counter=api)

    truth = sum(count_prompt(request_of(one), "old") for one in texts)
    assert (len(api.asked), found.evidence.online) == (10, 10)
    assert found.estimate.input.mean == pytest.approx(truth, rel=0.01)


def test_a_prompt_that_is_the_document_alone_has_no_part_to_count(project: TrialProject, api: Api) -> None:
    texts = fill(project, 5)

    found = plan(project, counter=api)

    assert sorted(api.prompts) == sorted(texts)
    assert found.evidence.online == 5


@pytest.mark.parametrize("user", [" {{ doc.text }}", "{{ doc.text }}\\n", "{{ doc.text }}\\n\\n{{ doc.text }}"])
def test_a_prompt_of_white_space_beside_the_document_neither(project: TrialProject, api: Api, user: str) -> None:
    project.job(prompt=f'user = "{user}"')
    project.document("one.txt", "text")

    assert plan(project, counter=api).evidence.online == 1


def test_with_nothing_to_send_nobody_is_asked(project: TrialProject, api: Api) -> None:
    project.documents(2)
    project.submit(ScriptedProvider())

    assert plan(project, counter=api).evidence.online == 0
    assert api.asked == []


def test_a_count_that_fails_is_told_and_the_others_are_used(project: TrialProject, api: Api) -> None:
    fill(project, 60)
    api.fails_after = 12

    found = plan(project, counter=api)

    assert found.evidence.online_problem == "later"
    assert found.evidence.online == 12
    assert width(found) < width(plan(project))


def test_without_any_count_the_plan_is_as_it_was(project: TrialProject, api: Api) -> None:
    fill(project, 10)
    api.fails_after = 0

    found, before = plan(project, counter=api), plan(project)

    assert found == replace(before, evidence=replace(before.evidence, online_problem="later"))


@pytest.mark.usefixtures("large")
def test_counts_and_a_sample_together(project: TrialProject, api: Api) -> None:
    project.job(prompt=PROMPT)
    texts = fill(project, 200)

    found = plan(project, counter=api)

    truth = sum(count_prompt(request_of(one), "old") for one in texts)
    assert found.evidence.guessed == 190
    assert found.evidence.online >= 25
    assert found.estimate.input.mean == pytest.approx(truth, rel=0.03)


# --- rows of a database


def rows_of(project: TrialProject, count: int, *, prompt: str) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute("create table t (id integer, text varchar, customer varchar)")
        connection.executemany(
            "insert into t values (?, ?, ?)", [(n, text(n, 50 + n), f"customer {n}") for n in range(count)]
        )
    project.job(source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"', prompt=prompt)


@pytest.mark.usefixtures("large")
def test_rows_are_sampled_and_counted_with_their_columns(project: TrialProject, api: Api, counted: list[str]) -> None:
    rows_of(project, 100, prompt='user = "Of {{ doc.customer }}: {{ doc.text }}"')

    found = plan(project, counter=api, online=8)

    *documents, bare = api.prompts
    assert bare == "Of : "
    assert len(documents) == pytest.approx(8, abs=1)
    assert all(one.startswith("Of customer ") for one in documents)
    assert found.evidence.guessed == 90
    assert len([one for one in counted if "\ncustomer " in one]) >= 10, "as they are sent, with their column"


@pytest.mark.usefixtures("large")
def test_rows_that_are_run_have_been_counted_by_then(project: TrialProject) -> None:
    rows_of(project, 60, prompt='user = "{{ doc.text }}"')

    summary = project.submit(ScriptedProvider())

    assert project.plans[0].evidence.guessed == 50
    assert summary.exit_code == 0
    assert len(reserved(project)) == 60


# --- the job's own past


def answers(prompt_tokens: int = 400, **usage: int) -> ScriptedProvider:
    told = {"input_tokens": prompt_tokens, "output_tokens": 33} | usage
    return ScriptedProvider(default=answer(usage=Usage(**told)))


def test_enough_answers_are_preferred_to_counts(project: TrialProject, api: Api) -> None:
    project.documents(ENOUGH)
    project.submit(answers())
    project.document("new.txt", "text 999")

    found = plan(project, counter=api)

    assert api.asked == []
    assert (found.evidence.past, found.evidence.online, found.evidence.replies) == (ENOUGH, 0, ENOUGH)
    assert found.estimate.input.mean == pytest.approx(400, rel=0.05)
    assert found.estimate.output.mean == pytest.approx(33, rel=0.05)


def test_too_few_answers_are_no_reason_not_to_ask(project: TrialProject, api: Api) -> None:
    project.documents(5)
    project.submit(answers())
    fill(project, 60)

    found = plan(project, counter=api)

    assert (found.evidence.past, found.evidence.replies) == (0, 5)
    assert found.evidence.online > 20


def test_few_answers_are_better_than_fewer_counts(project: TrialProject, api: Api) -> None:
    project.documents(5)
    project.submit(answers())
    project.document("new.txt", "text 999")

    found = plan(project, counter=api)

    assert len(api.asked) == 1
    assert (found.evidence.past, found.evidence.online) == (5, 0)


OTHERS: dict[str, dict[str, str]] = {
    "another prompt": {"prompt": 'user = "Another: {{ doc.text }}"'},
    "another model": {"model": 'name = "claude-sonnet-4-6"\nmax_tokens = 100'},
    "another schema": {"output_fields": 'name = "string"'},
}


@pytest.mark.parametrize("sections", OTHERS.values(), ids=OTHERS)
def test_answers_to_other_requests_tell_nothing(project: TrialProject, sections: dict[str, str]) -> None:
    project.documents(3)
    project.submit(answers())
    project.job(**sections)

    found = plan(project)

    assert found.to_send == 3
    assert (found.evidence.past, found.evidence.replies) == (0, 0)


def test_answers_of_another_job_tell_nothing(project: TrialProject) -> None:
    project.documents(3)
    project.job("other")
    project.submit(answers(), job="other")
    project.document("new.txt", "new")

    assert plan(project).evidence.past == 0


def test_what_was_read_from_a_cache_or_written_to_it_is_prompt_too(project: TrialProject) -> None:
    project.documents(40)
    project.submit(answers(20, cache_write_5m_tokens=50, cache_write_1h_tokens=60, cache_read_tokens=270))
    project.document("new.txt", "text 999")

    assert plan(project).estimate.input.mean == pytest.approx(400, rel=0.05)


def test_attempts_without_an_answer_tell_nothing(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider({"text 1": [status(400)], "text 2": [answer(usage=None)]}))
    project.document("new.txt", "text 999")

    found = plan(project)

    assert (found.evidence.past, found.evidence.replies) == (1, 1)


# --- and after the run


def test_a_run_keeps_what_was_estimated(project: TrialProject) -> None:
    fill(project, 40)

    project.submit(ScriptedProvider())

    estimate = project.plans[0].estimate
    assert estimate.input.mean > 0
    assert estimate.output.mean > 0
    assert project.ask("select estimate_input_tokens, estimate_output_tokens from runs") == [
        (round(estimate.input.mean), round(estimate.output.mean))
    ]


# --- strange jobs


def test_a_document_of_which_nothing_is_left(project: TrialProject, api: Api) -> None:
    """One token may be kept, and a token of cl100k is more than one on average."""
    project.job(
        source='type = "files"\ninclude = ["docs/*.txt"]\nmax_document_tokens = 1\non_oversize = "truncate"',
        prompt='user = "Read: {{ doc.text }}"',
    )
    fill(project, 3)

    found = plan(project, counter=api)

    assert found.to_send + found.counts[Kind.TOO_LARGE] + found.counts[Kind.IDENTICAL] == 3
    assert 0 <= found.estimate.input.low <= found.estimate.input.mean <= found.estimate.input.high
