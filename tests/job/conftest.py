"""What the tests of rendered requests share: a small job file, and its request template."""

from collections.abc import Callable

import pytest

from batchrun.job.load import load_job
from batchrun.planning.request_template import RequestTemplate

JOB = """\
[job]
name = "x"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-haiku-5-5"
max_tokens = 100
[prompt]
{prompt}
[output.fields]
title = {{ type = "string", max_length = 9 }}
[budget]
max_cost_usd = 1
"""


@pytest.fixture(scope="module")
def template_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RequestTemplate]:
    """Makes the request template of a job with these lines in [prompt], after some changes of the job file."""
    path = tmp_path_factory.mktemp("job") / "job.toml"

    def template_of(prompt: str, *changes: tuple[str, str]) -> RequestTemplate:
        text = JOB.format(prompt=prompt)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text)
        return RequestTemplate(load_job(path))

    return template_of
