"""What a provider of batches says goes: how large its batches are, and by which word a batch is found again."""

from dataclasses import replace

import pytest
from batch_submits import LOST, NOTHING_CAME, batched, once
from scripted_batches_memory import BatchApi, Lost
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.providers import capabilities
from batchrun.providers.capabilities import Capabilities


def able(monkeypatch: pytest.MonkeyPatch, **least: int) -> None:
    monkeypatch.setitem(capabilities._OF_TYPE, "openai", Capabilities(counts_tokens=False, models_api=False, **least))


def test_openai_takes_50_000_requests_and_200_mb() -> None:
    told = capabilities._OF_TYPE["openai"]
    assert told.max_batch_requests == 50_000
    assert told.max_batch_bytes < 200_000_000


@pytest.mark.parametrize("limit", [{"max_batch_requests": 2}, {"max_batch_bytes": 1_000}])
def test_batches_are_as_large_as_the_provider_takes_them(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch, limit: dict[str, int]
) -> None:
    able(monkeypatch, **limit)
    batched(project, provider='type = "openai"')
    project.documents(5)
    assert once(project, api).exit_code == ExitCode.UNFINISHED
    sizes = [requests for (requests,) in project.ask("select requests from batches order by batch_no")]
    assert sizes == [2, 2, 1]
    assert max(size for (size,) in project.ask("select bytes from batches")) < 1_000


@pytest.mark.parametrize(("lost", "found"), [(LOST, ("submitted", 0)), (NOTHING_CAME, ("prepared", 0))])
def test_a_batch_with_our_nonce_is_ours_and_one_with_another_is_not(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch, lost: Lost, found: tuple[str, int]
) -> None:
    """The list shows a batch of the same size and time that is somebody else's, and tells so."""
    told = api.told
    monkeypatch.setattr(
        api, "told", lambda remote: replace(told(remote), nonce=next(iter(remote.params)).partition("-")[0])
    )
    project.documents(3)
    api.creating = [lost]
    once(project, api)
    api.somebody_elses(3)
    once(project, api, after_s=20)
    assert project.ask("select state, adopted from batches") == [found]
