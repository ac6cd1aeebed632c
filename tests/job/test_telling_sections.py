"""[metrics] and [notify]: what a job file may say, what batchrun.toml may say, and which of the two counts."""

from pathlib import Path

import pytest

from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError

JOB = (
    '[job]\nname = "x"\n[source]\ntype = "files"\ninclude = ["*.txt"]\n[model]\nname = "m"\nmax_tokens = 9\n'
    '[prompt]\nuser = "{{ doc.text }}"\n[output.fields]\ntitle = "string"\n[budget]\nmax_cost_usd = 1\n'
)


def loaded(folder: Path, job: str = "", project: str = ""):
    (folder / "x.toml").write_text(JOB + job)
    (folder / "batchrun.toml").write_text(project)
    return load_job(folder / "x.toml")


def test_a_job_file_counts_before_the_project(tmp_path):
    project = '[metrics]\nprometheus_textfile = "{job}.prom"\n[notify]\non = ["stop"]\ncommand = ["tell"]\n'
    job = loaded(tmp_path, '[metrics]\nprometheus_textfile = ""\n[notify]\nwebhook_env = "HOOK"\n', project)
    assert job.metrics.prometheus_textfile == ""
    assert (job.notify.on, job.notify.command, job.notify.webhook_env) == (("stop",), ("tell",), "HOOK")
    assert loaded(tmp_path, "", project).metrics.prometheus_textfile == "{job}.prom"
    assert loaded(tmp_path).notify.on == ("end", "stop", "deadline")


@pytest.mark.parametrize(
    ("job", "project", "problem"),
    [
        ('[notify]\ncommand = ["rm"]', "", "a job file starts no programs"),
        ('[notify]\nwebhook = "https://x/token"', "", "unknown key `webhook` in [notify]"),
        ('[notify]\nwebhook_env = "https://x/token"', "", "the name of an environment variable"),
        ('[notify]\non = ["start"]', "", "end"),
        ('[notify]\non = ["end", "end"]', "", "is there already"),
        ('[metrics]\nprometheus_textfile = "x.txt"', "", "a file ending in .prom"),
        ("", '[metrics]\nprometheus_textfile = "x.prom"', "every job would write this file"),
        ("", "[notify]\ncommand = []", "notify.command"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, job, project, problem):
    with pytest.raises(JobFileError) as raised:
        loaded(tmp_path, job, project)
    assert problem in str(raised.value)
