"""A submit sends the documents that are chosen, and leaves the others as they are."""

import pytest
from scripted_provider import BAD_KEY, ScriptedProvider
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.planning.selection import Selection


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_limit_sends_the_first_ones_and_no_more_even_when_a_run_is_open(project: TrialProject) -> None:
    project.documents(10)
    project.submit(ScriptedProvider(default=BAD_KEY))  # all ten are pending in an open run
    provider = ScriptedProvider()

    summary = project.submit(provider, Selection(limit=3))

    assert sorted(provider.sent) == ["text 0", "text 1", "text 2"]
    assert summary.exit_code == ExitCode.OK
    assert list(project.statuses().values()).count("pending") == 7


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_the_next_ones_add_up_to_the_whole(project: TrialProject) -> None:
    texts = project.documents(7)
    provider = ScriptedProvider()

    for _ in range(4):
        project.submit(provider, Selection(next=2))

    assert sorted(provider.sent) == texts


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_limit_means_the_same_documents_every_time(project: TrialProject) -> None:
    project.documents(7)
    provider = ScriptedProvider()

    for _ in range(3):
        project.submit(provider, Selection(limit=2))

    assert sorted(provider.sent) == ["text 0", "text 1"]
    assert (project.plans[-1].documents, project.plans[-1].in_source) == (2, 7)


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize(
    ("selection", "sent"),
    [
        (Selection(ids=frozenset({"docs/0002.txt"})), ["text 2"]),
        (Selection(sources=("docs/000[01].txt",)), ["text 0", "text 1"]),
        (Selection(where="id like '%3.txt' or tokens > 100"), ["text 3"]),
        (Selection(where="kind = 'new'", limit=1), ["text 0"]),
        (Selection(where="kind = 'reusable'"), []),
    ],
    ids=["id", "source", "where", "where and limit", "where nothing"],
)
def test_only_the_chosen_are_sent(project: TrialProject, selection: Selection, sent: list[str]) -> None:
    project.documents(4)
    provider = ScriptedProvider()

    project.submit(provider, selection)

    assert sorted(provider.sent) == sent
