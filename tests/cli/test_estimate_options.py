"""`plan --online`, `plan --exact`, and what `submit` has counted on its own."""

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

PLAN = "plan jobs/trial.toml"
PROMPT = 'user = "Read this: {{ doc.text }}"'


def counted_line(words: str) -> str:
    (line,) = [line for line in words.splitlines() if line.startswith("counted")]
    return line.removeprefix("counted").strip()


def test_without_it_nobody_is_asked(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(3)

    assert counted_line(batchrun(PLAN).out) == (
        "tiktoken cl100k, times the measured factor of this model's tokenizer and kind of text; --online 30 narrows it"
    )
    assert batchrun(f"{PLAN} --json").json["evidence"] == {
        "guessed_documents": 0, "past_answers": 0, "online_counts": 0, "online_problem": None, "past_replies": 0,
    }  # fmt: skip


@pytest.mark.slow
def test_online(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(prompt=PROMPT)
    project.documents(30)
    before = batchrun(f"{PLAN} --json").json["tokens"]["input"]

    ran, found = batchrun(f"{PLAN} --online 10"), batchrun(f"{PLAN} --online 10 --json").json

    assert counted_line(ran.out) == "tiktoken cl100k, corrected by 11 counts of the API"
    assert found["evidence"]["online_counts"] == 11
    after = found["tokens"]["input"]
    assert after["high"] - after["low"] < before["high"] - before["low"]
    assert (ran.code, ran.err) == (0, f"requests go to {api.base_url} (ANTHROPIC_BASE_URL)\n")
    assert not api.books.entries


@pytest.mark.slow
def test_online_without_a_key_is_told_and_no_reason_to_stop(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(3)

    ran = batchrun(f"{PLAN} --online 5")

    assert ran.code == ExitCode.OK
    assert "\n         the API did not count: no API key" in ran.out
    assert "no API key" in batchrun(f"{PLAN} --online 5 --json").json["evidence"]["online_problem"]


def test_online_when_nobody_answers(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    project.documents(3)

    ran = batchrun(f"{PLAN} --online 5 --check")

    assert ran.code == ExitCode.OK
    assert "the API did not count: " in ran.out


@pytest.mark.slow
def test_online_in_a_rehearsal_asks_the_simulated_api(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(3)

    assert batchrun(f"{PLAN} --simulate --online 5 --json").json["evidence"]["online_counts"] == 3


@pytest.mark.parametrize("number", ["0", "-1", "2001", "many"])
def test_online_takes_a_number_within_reason(project: TrialProject, batchrun: CommandLine, number: str) -> None:
    project.documents(1)

    ran = batchrun(f"{PLAN} --online {number}")

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "--online" in ran.err


@pytest.mark.slow
def test_exact(project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.planning.planner.COUNTED_AT_ONCE", 0)
    monkeypatch.setattr("batchrun.estimation.sampling.MOST_SAMPLED", 4)
    project.documents(40)

    sampled, exact = batchrun(PLAN), batchrun(f"{PLAN} --exact")

    assert counted_line(sampled.out) == "tiktoken cl100k; 36 documents by size, from a sample of the others"
    assert "\n         times the measured factor" in sampled.out
    assert counted_line(exact.out).startswith("tiktoken cl100k, times the measured factor")
    assert batchrun(f"{PLAN} --json").json["evidence"]["guessed_documents"] == 36
    assert batchrun(f"{PLAN} --exact --json").json["evidence"]["guessed_documents"] == 0


@pytest.mark.slow
def test_the_submit_that_it_says_to_type_counts_as_it_did(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(2)

    *_, last = batchrun(f"{PLAN} --exact --limit 1").out.splitlines()

    assert last.endswith("batchrun submit jobs/trial.toml --exact --limit=1")
    assert batchrun(last.partition("batchrun ")[2], "--simulate", "--speed", "1000").code == ExitCode.OK


@pytest.mark.slow
def test_submit_has_some_counted_before_it_sends(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    """The estimate that it keeps and shows is the one of `plan --online 30`."""
    project.job(prompt=PROMPT)
    project.documents(40)
    told = batchrun(f"{PLAN} --online 30 --json").json["tokens"]

    assert batchrun("submit jobs/trial.toml").code == ExitCode.OK

    kept = project.ask("select estimate_input_tokens, estimate_output_tokens from runs")
    assert kept == [(round(told["input"]["mean"]), round(told["output"]["mean"]))]
    (used,) = project.ask("select sum(input_tokens) from attempts")[0]
    assert told["input"]["low"] <= used <= told["input"]["high"]
    assert len(api.books.entries) == 40


@pytest.mark.slow
def test_after_a_run_its_answers_are_what_it_rests_on(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(40)
    batchrun("submit jobs/trial.toml")
    project.document("new.txt", "a new text")

    ran = batchrun(f"{PLAN} --online 30")

    assert counted_line(ran.out) == "tiktoken cl100k, corrected by 40 answers of this job"
    assert "learnt from 40 answers of this job" in ran.out


def test_words_of_a_strange_api_are_harmless(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batchrun.simulator.api_error import ApiError, ApiRefusal
    from batchrun.simulator.simulator import Simulator

    def refuse(*_: object, **__: object) -> int:
        raise ApiRefusal(ApiError(404, "not_found_error", "\x1b[31mmodel: \x07none"))

    monkeypatch.setattr(Simulator, "count", refuse)
    project.documents(1)

    ran = batchrun(f"{PLAN} --online 1")

    assert "the API did not count: " in ran.out
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out
