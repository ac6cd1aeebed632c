"""A run that is killed while it uploads, and before its batch is created, uploads nothing twice."""

import signal

import pytest
from command_line import serving, talking_to
from native_samples import agreement
from submits import SubmitServer
from trial_project import TrialProject

from batchrun.errors import ExitCode

pytestmark = pytest.mark.slow

DOCUMENTS = 4


def test_killed_while_uploading_and_before_the_batch_is_created(project: TrialProject, submits: SubmitServer) -> None:
    for number in range(DOCUMENTS):
        (project.root / "docs" / f"a{number}.pdf").write_bytes(agreement(8, title=f"Agreement {number}"))
    project.job(
        source='type = "files"\ninclude = ["docs/*.pdf"]\npdf = "native"',
        run='max_concurrency = 4\nroute = "batch"',
        batch='max_bytes = "60KB"\npoll_interval = "1h"\nmax_poll_interval = "1h"',
    )
    # The second upload hangs, and the create call of the second process is refused, which waits for an hour then.
    with serving("batch_upload_ok", "batch_upload_hang", "batch_rate_limited") as api:
        files = api.simulator.files
        first = submits.submit(project.root, talking_to(api))
        first.wait_until(lambda: len(files.all) == 2)
        first.signal(signal.SIGKILL)
        assert first.end()[0] == -signal.SIGKILL
        assert [file_id for (file_id,) in project.ask("select file_id from uploads where file_id is not null")] == [
            files.all[0].id
        ]

        second = submits.submit(project.root, talking_to(api))
        second.wait_until(lambda: bool(project.ask("select 1 from batches where state = 'abandoned'")))
        second.signal(signal.SIGKILL)
        assert second.end()[0] == -signal.SIGKILL
        assert len(files.all) == DOCUMENTS

        job = project.root / "jobs" / "trial.toml"
        job.write_text(job.read_text().replace('"1h"', '"0.1s"'))
        code, _, err = submits.submit(project.root, talking_to(api)).end()
        assert (code, "Traceback" in err) == (ExitCode.OK, False), err
        assert len(files.all) == DOCUMENTS
        assert all(file.deleted for file in files.all)
        assert [batch.as_json(0, "")["request_counts"]["processing"] for batch in api.simulator.batches.all] == [4]
    assert set(project.statuses().values()) == {"succeeded"}
    assert project.ask("select count(*) from uploads") == [(0,)]
