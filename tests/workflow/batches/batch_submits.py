"""Submits on the batch route, waiting or not, and what the ledger has of them afterwards."""

from collections.abc import Callable, Coroutine
from typing import Any

from scripted_batches_memory import DAY_S, BatchApi, Lost
from trial_project import TrialProject, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.errors import ExitCode
from batchrun.events import Event
from batchrun.planning.selection import Selection
from batchrun.store.ledger.batch_records import Batch
from batchrun.workflow.batch_recovery import Cancellation, cancel
from batchrun.workflow.open_job import OpenStore, SubmitOptions, open_store
from batchrun.workflow.submit import submit as submit_job
from batchrun.workflow.summary import Summary

INTERVALS = 'poll_interval = "10s"\nmax_poll_interval = "20s"\nreconcile_wait = "60s"'
SMALL = f"max_requests = 10\n{INTERVALS}"
COST_NUSD = 75_000
"""One answer in a batch costs half of 100 tokens in and 10 out."""
MINUTE_S, HOUR_S = 60.0, 3600.0
LOST = Lost(created=True)
NOTHING_CAME = Lost(created=False)


def batched(project: TrialProject, name: str = "trial", *, route: str = "batch", run: str = "", **more: str) -> None:
    project.job(name, **{"run": f'route = "{route}"\nmax_concurrency = 4\n{run}', "batch": SMALL} | more)


def submit(project: TrialProject, api: BatchApi, selection: Selection | None = None, **options: Any) -> Summary:
    job = options.pop("job", "trial")
    return project.submit(api, selection, job=job, options=SubmitOptions(**options))


def once(
    project: TrialProject, api: BatchApi, selection: Selection | None = None, *, after_s: float = 0.0, **options: Any
) -> Summary:
    """Calls `submit --no-wait`, some time later."""
    api.clock.skip(after_s)
    return submit(project, api, selection, waits=False, **options)


def again_and_again(project: TrialProject, api: BatchApi, *, every_s: float = 10.0, **options: Any) -> list[int]:
    """Calls `submit --no-wait` until the exit code is not 10; returns all exit codes."""
    codes = [int(once(project, api, **options).exit_code)]
    while codes[-1] == ExitCode.UNFINISHED:
        assert len(codes) < 100, "it never ends"
        codes.append(int(once(project, api, after_s=every_s, **options).exit_code))
    return codes


def canceling(project: TrialProject, api: BatchApi, *, waits: bool = True) -> Cancellation:
    run_no = project.ask("select max(run_no) from runs")[0][0]
    with open_store(project.root / "jobs/trial.toml", simulated=False) as opened:
        return run_async(cancel(opened, run_no, caller_of(api, project.events.append), waits=waits))


def by_hand(
    project: TrialProject, decide: Callable[[OpenStore], Coroutine[Any, Any, Batch]], *, job: str = "trial"
) -> Batch:
    with open_store(project.root / f"jobs/{job}.toml", simulated=False) as opened:
        return run_async(decide(opened))


def states(project: TrialProject) -> list[str]:
    return [state for (state,) in project.ask("select state from batches order by batch_no")]


def open_attempts(project: TrialProject) -> int:
    return int(project.ask("select count(*) from attempts where state = 'open'")[0][0])


def given_history(project: TrialProject, api: BatchApi) -> None:
    """One document in a batch that has been collected: the list shows a batch of ours."""
    project.document("first.txt", "the first one")
    assert until(project, api) == [0]


def something_happens(api: BatchApi) -> None:
    """Somebody else creates a batch: a list that shows it is no cache of an earlier list."""
    api.clock.skip(1)
    api.somebody_elses(1)
    api.clock.skip(1)


def held_nusd(project: TrialProject) -> int:
    """What may have been billed, and counts against the caps."""
    return int(project.ask("select coalesce(sum(reserved_nusd), 0) from attempts where cost_nusd is null")[0][0])


def assert_books_agree(project: TrialProject, api: BatchApi) -> None:
    """Nothing is paid twice, and the ledger has what the API billed."""
    assert {prompt: times for prompt, times in api.paid.items() if times > 1} == {}
    billed = sum(api.billed.values()) * COST_NUSD + len(api.streaming.sent) * 2 * COST_NUSD
    (committed,) = project.ask("select coalesce(sum(committed_nusd), 0) from runs")[0]
    assert committed == billed
    assert open_attempts(project) == 0


def until(project: TrialProject, api: BatchApi, *jobs: str, every_s: float = 10.0, most: int = 100) -> list[int]:
    """Calls `submit --no-wait` for each job in turn, until no exit code is 10; returns the last code of each."""
    for _ in range(most):
        codes = [int(once(project, api, job=job).exit_code) for job in jobs or ("trial",)]
        if ExitCode.UNFINISHED not in codes:
            return codes
        api.clock.skip(every_s)
    raise AssertionError("it never ends")


def waiting(
    project: TrialProject,
    api: BatchApi,
    *,
    most_s: float = DAY_S,
    listener: Callable[[Event], None] = lambda _: None,
    **options: Any,
) -> Summary:
    """Calls `submit` in the foreground, and fails if the submit takes longer than `most_s`."""
    latest = api.clock() + most_s

    def bounded(event: Event) -> None:
        project.events.append(event)
        assert api.clock() < latest, "it never ends"
        listener(event)

    with project.opened() as opened:
        caller = caller_of(api, bounded)
        chosen = SubmitOptions(**options)
        return run_async(submit_job(opened, Selection(), caller, show=project.plans.append, options=chosen))


def committed(project: TrialProject) -> int:
    return int(project.ask("select coalesce(sum(committed_nusd), 0) from runs")[0][0])


def assert_books_agree_in_the_end(project: TrialProject, api: BatchApi) -> None:
    """Nothing is paid twice, not even in batches that no job asks for any more, and the ledger has what was billed."""
    api.clock.skip(2 * DAY_S)
    for remote in api.batches:
        api.told(remote)
    paid = {prompt: times for prompt, times in api.paid.items() if not prompt.startswith("theirs")}
    assert {prompt: times for prompt, times in paid.items() if times > 1} == {}
    assert committed(project) == (sum(paid.values()) + len(api.streaming.sent)) * COST_NUSD
    assert project.ask("select count(*) from attempts where state = 'open'") == [(0,)]
