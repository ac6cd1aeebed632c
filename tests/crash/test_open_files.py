"""A process that may open few files: no document is unreadable for that, and the run has less under way."""

import math
import resource
from pathlib import Path

import pytest
from command_line import process, serving, talking_to
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.replies.latency import Latency

pytestmark = pytest.mark.slow

DOCUMENTS, FILES = 250, 88
SLOW = Latency(first_token_s=0.2, tokens_per_s=math.inf)


@pytest.mark.parametrize("soft", [48, FILES])
def test_a_run_with_few_open_files(tmp_path: Path, soft: int) -> None:
    project = TrialProject(tmp_path)
    project.job(run="max_concurrency = 300", retry="")
    project.documents(DOCUMENTS)
    with serving(latency=SLOW) as api:
        running = process(
            "submit jobs/trial.toml",
            cwd=project.root,
            environment=talking_to(api),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, FILES)),
        )
        out, err = running.communicate(timeout=300)
    assert running.returncode == ExitCode.OK, out + err
    assert len(project.rows()) == DOCUMENTS
    assert len(api.books.entries) == DOCUMENTS, "nothing was sent twice"
