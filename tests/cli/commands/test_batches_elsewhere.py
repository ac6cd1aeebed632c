"""Batches at OpenAI from the command line: their ids, decisions by hand, and a job that has moved elsewhere since."""

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.providers.openai import batches
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

BATCH = 'max_requests = 2\npoll_interval = "0.05s"\nmax_poll_interval = "0.1s"\nreconcile_wait = "{wait}"\n'
SUBMIT = "submit jobs/trial.toml --route batch"
ONCE = f"{SUBMIT} --no-wait"


def use(project: TrialProject, *, wait: str = "10m", batch: str = "", **more: str) -> None:
    given = {"provider": 'type = "openai"', "batch": BATCH.format(wait=wait) + batch}
    project.job(**(given | more))


@pytest.fixture(autouse=True)
def three_documents(project: TrialProject) -> None:
    """They make two batches."""
    use(project)
    project.documents(3)


def ids_of(api: SimulatorServer) -> list[str]:
    return [batch["id"] for batch in api.books.summary()["batches"]]


def test_submit(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.OK, ran.err
    assert project.rows() == [(f"docs/{number:04}.txt",) for number in range(3)]
    books = api.books.summary()
    assert (books["requests"], books["batch_billed"], books["billed_twice"]) == (0, 3, 0)
    nusd = books["batch_input_tokens"] * 500 + books["batch_output_tokens"] * 2_500
    assert project.ask("select sum(cost_nusd) from attempts") == [(nusd,)], "half of the price of the table"
    shown = batchrun("batches trial --json").events
    assert [one["batch"] for one in shown] == [f"openai/{name}" for name in ids_of(api)]


def test_status_and_cancel(batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LONGEST_LOOK_S", 0.0)  # the simulator looks at a file for two seconds
    api.simulator.extend_script(["batch_never_ends"] * 2)
    assert batchrun(ONCE).code == ExitCode.UNFINISHED
    assert batchrun("status").out.count("openai/batch_") == 2
    assert "trial: 2 batches" in batchrun("cancel trial --no-wait").out
    assert [batch.life.canceled_at is not None for batch in api.simulator.batches.all] == [True, True]


def test_a_lost_answer_is_found_by_the_nonce_alone(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    api.simulator.extend_script(["batch_create_ok", "batch_reset_after"])
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.OK
    assert project.ask("select adopted, state from batches") == [(0, "collected")] * 2
    assert api.books.summary()["billed_twice"] == 0


@pytest.mark.parametrize("prefix", ["", "openai/"])
def test_adopt(project: TrialProject, batchrun: CommandLine, api: SimulatorServer, prefix: str) -> None:
    use(project, wait="0.1s", batch='on_ambiguous = "hold"\n')
    api.simulator.extend_script(["batch_reset_after", "batch_list_ok", *["batch_list_error"] * 2])
    batchrun(ONCE)
    (ours,) = ids_of(api)
    assert batchrun(f"batches trial --adopt {prefix}batch_nobody").code == ExitCode.USAGE
    adopted = batchrun(f"batches trial --adopt {prefix}{ours}")
    assert adopted.code == ExitCode.OK, adopted.err
    assert f"openai/{ours}" in adopted.out
    assert batchrun(SUBMIT).code == ExitCode.OK
    books = api.books.summary()
    assert (books["batch_billed"], books["billed_twice"]) == (3, 0)


def test_resend(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    use(project, wait="0.1s", batch='on_ambiguous = "hold"\n')
    api.simulator.extend_script(["batch_reset_before"])
    assert batchrun(SUBMIT).code == ExitCode.AMBIGUOUS
    assert batchrun("batches trial --resend --pay-again").code == ExitCode.OK
    assert batchrun(SUBMIT).code == ExitCode.OK
    assert api.books.summary()["billed_twice"] == 0


def test_a_batch_stays_where_it_is_when_the_job_moves(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    batchrun(ONCE)
    ours = ids_of(api)
    use(project, provider='type = "anthropic"')
    assert batchrun("cancel trial").code == ExitCode.OK
    assert ids_of(api) == ours
    states = project.ask("select batch_id, state from batches")
    assert states == [(f"openai/{name}", "collected") for name in ours]
    assert project.statuses() == dict.fromkeys(project.statuses(), "succeeded")


def test_a_batch_at_a_provider_that_no_section_describes_any_more(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    model = 'name = "home/claude-haiku-4-5"\nmax_tokens = 100'
    use(project, model=model, provider='type = "anthropic"', providers_home='type = "openai"')
    assert batchrun(ONCE).code == ExitCode.UNFINISHED
    use(project, provider='type = "anthropic"')
    ran = batchrun("cancel trial")
    assert ran.code == ExitCode.USAGE
    assert "[providers.home]" in ran.err
    use(project, model=model, provider='type = "anthropic"', providers_home='type = "openai"')
    assert batchrun(SUBMIT).code == ExitCode.OK
    assert api.books.summary()["billed_twice"] == 0
