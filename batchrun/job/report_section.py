"""[report] of the job file: where each run leaves its report, and what the report shows."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from batchrun.job.field_types import Table
from batchrun.job.key_types import Text
from batchrun.job.value_errors import refusal

_BRACES = re.compile(r"\{[^{}]*\}?|\}")
_PLACEHOLDERS = ("{run}", "{job}")
_ENDINGS = (".html", ".htm")


def _is_page(path: str) -> str:
    if wrong := next((found for found in _BRACES.findall(path) if found not in _PLACEHOLDERS), None):
        raise refusal(f'"{wrong}" stands for nothing', hint=f"placeholders: {', '.join(_PLACEHOLDERS)}")
    if not path.lower().endswith(_ENDINGS) or "\0" in path:
        raise refusal("the name of a report ends in .html", hint='such as html = "results/{run}.html"')
    return path


class ReportSection(Table):
    """[report]: the report of each run. No request depends on this section."""

    html: Annotated[Text | None, AfterValidator(lambda path: path and _is_page(path))] = None
    """The page that a run leaves, as a path below the project or an absolute one; `{run}` stands for the id of the run,
    and `{job}` for the name of the job. Without a page, a run leaves no report."""
    sample: Annotated[int, Field(ge=0, le=200)] = 60
    """How many documents without a problem the report shows."""
    include_source: bool = True
    """Whether the report shows what documents and answers say."""

    def path(self, *, run: str, job: str) -> str | None:
        """Return the path of a run's report. Returns None if the job leaves none."""
        return self.html.replace("{run}", run).replace("{job}", job) if self.html else None
