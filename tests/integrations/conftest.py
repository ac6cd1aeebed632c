"""One run for all tests that only look at what was heard of it."""

from collections.abc import Iterator

import pytest
from heard_run import Heard, run_with_observers, wait_for_senders
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.cli.permissions import owner_alone

TELLER = """\
[metrics]
prometheus_textfile = "metrics/{job}.prom"
[notify]
command = ["/bin/sh", "-c", "cat > told.json; env > environment"]
"""


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    """A run in which twelve documents of fifteen were refused, on a runner of GitHub."""
    project = TrialProject(tmp_path_factory.mktemp("run") / "project")
    project.job()
    (project.root / "batchrun.toml").write_text(TELLER)
    (project.root / "metrics").mkdir()
    texts, refused = project.documents(15), answer("", stop_reason="refusal")
    summary = project.root / "step.md"
    summary.write_text("what another step wrote")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        patch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-secret-of-the-test")
        patch.setenv("GITHUB_ACTIONS", "true")
        patch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        with owner_alone():  # as every command does
            heard = run_with_observers(project, ScriptedProvider({text: [refused] for text in texts[:12]}))
        wait_for_senders()
        yield heard
