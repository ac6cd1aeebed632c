"""A submit that meets trouble says so, loses nothing, and lets the next submit go on."""

import json

import pytest
from scripted_provider import BAD_KEY, ScriptedProvider, lost
from trial_project import TrialProject, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.errors import ExitCode
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.providers.anthropic.message_parsing import reply_from
from batchrun.reply import Cause, Reply
from batchrun.request import Request
from batchrun.store.ledger.sqlite_errors import StoreFull
from batchrun.strategy.plan import Plan
from batchrun.workflow.submit import submit


def as_body(**changes: object) -> bytes:
    """A message of the API as it comes over the wire."""
    message = {
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": '{"title": "a title"}'}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 100, "output_tokens": 10},
    }
    return json.dumps(message | changes).encode()


@pytest.mark.usefixtures("no_output")
def test_a_job_that_was_stopped_says_why_in_the_ledger(project: TrialProject) -> None:
    project.documents(2)

    summary = project.submit(ScriptedProvider(default=BAD_KEY))

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert summary.halted is not None
    assert project.ask("select state, exit_code, note from runs") == [("stopped", 5, str(summary.halted))]


HOSTILE: dict[str, tuple[bytes, dict[str, str], str]] = {
    "half a character for a model": (as_body(model="\ud800"), {}, "succeeded"),
    "a request id that is no text": (
        as_body(),
        {"request-id": b"req_\xff".decode("utf-8", "surrogateescape")},
        "succeeded",
    ),
    "a stop reason that nobody knows": (as_body(stop_reason="\ud800"), {}, "invalid"),
    "a stop reason that is a list": (as_body(stop_reason=["end_turn"]), {}, "errored"),
    "no stop reason": (as_body(stop_reason=None), {}, "errored"),
    "neither content nor a stop reason": (as_body(content=[], stop_reason=None), {}, "errored"),
    "usage that no ledger can hold": (as_body(usage={"input_tokens": 2**70, "output_tokens": 1}), {}, "succeeded"),
    "a limit of thousands of digits": (as_body(), {"anthropic-ratelimit-requests-limit": "9" * 5_000}, "succeeded"),
    "a limit of twelve digits": (as_body(), {"anthropic-ratelimit-requests-limit": "9" * 12}, "succeeded"),
    "half a character in the row": (as_body(content=[{"type": "text", "text": '{"title": "\\ud800"}'}]), {}, "invalid"),
}
"""Bodies and headers of status 200, and what becomes of the document."""


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
def test_one_odd_reply_spoils_nothing(project: TrialProject, case: str) -> None:
    body, headers, outcome = HOSTILE[case]
    project.documents(8)

    async def step(_: Request) -> Reply:
        return reply_from(body, headers)

    summary = project.submit(ScriptedProvider({"text 0": [step]}))  # the first, which also tells the limits

    assert summary.halted is None
    assert summary.unpublished is None
    assert project.statuses() == {f"{number:04}.txt": "succeeded" for number in range(1, 8)} | {"0000.txt": outcome}
    assert project.rows("select count(*) from trial") == [(7 + (outcome == "succeeded"),)]
    assert project.rows("select count(*) from _batchrun.attempts where state = 'open'") == [(0,)]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output", "virtual_time")
def test_a_dead_network_fails_no_document(project: TrialProject) -> None:
    texts = project.documents(40)

    dead = project.submit(ScriptedProvider(default=lost(Cause.UNREACHABLE)))
    alive = project.submit(provider := ScriptedProvider())

    assert dead.exit_code == ExitCode.ENVIRONMENT
    assert dead.outcomes == {None: 40}
    assert dead.totals is not None
    assert (dead.totals.cost_nusd, dead.totals.held_nusd) == (0, 0)
    assert alive.exit_code == ExitCode.OK
    assert sorted(provider.sent) == sorted(texts)


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_bug_is_in_the_ledger_and_the_next_submit_goes_on(project: TrialProject) -> None:
    project.documents(3)

    async def odd(_: Request) -> Reply:
        raise ZeroDivisionError

    broken = project.submit(ScriptedProvider({"text 1": [odd]}))
    mended = project.submit(ScriptedProvider())

    assert broken.exit_code == ExitCode.BUG
    assert "ZeroDivisionError" in str(broken.halted)
    assert mended.exit_code == ExitCode.OK
    assert mended.outcomes == {Outcome.SUCCEEDED: 3}


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_full_disk_is_told_when_the_documents_are_admitted(project: TrialProject) -> None:
    project.documents(300)
    provider = ScriptedProvider()

    with project.opened() as opened:

        def fill(_: Plan) -> None:
            opened.ledger.connection.execute("pragma max_page_count = 1")

        with pytest.raises(StoreFull):
            run_async(submit(opened, Selection(), caller_of(provider, project.events.append), show=fill))

    assert provider.sent == []
