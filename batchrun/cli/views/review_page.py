"""A page with fields to be reviewed in a browser: one file, which loads nothing and sends nothing."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from importlib import resources
from itertools import islice
from pathlib import Path

from batchrun.cli.find_run import FoundRun
from batchrun.cli.views.evidence_text import PLAIN_LINES, Excerpt
from batchrun.cli.views.format import count
from batchrun.cli.views.review_cell import ShownCell, shown_cells
from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.escaping import escape_control
from batchrun.quality.review.standing import Standing
from batchrun.store.ledger.audits import Drawn
from batchrun.workflow.review import OpenReview

ARTICLE = """<article tabindex="0" data-cell="{cell}">
<h2>{name}</h2>
<pre class="value">{value}</pre>
{excerpts}
<details><summary>{summary}</summary><pre class="text">{text}</pre></details>
<p><button class="accept">accept</button> <button class="correct">correct</button>
<button class="reject">reject</button> <b class="said"></b></p>
<label hidden>right value, as text or JSON; Enter takes it over <textarea rows="3">{value}</textarea></label>
</article>"""


def write_page(
    path: Path,
    found: FoundRun,
    opened: OpenReview,
    standing: Standing,
    *,
    only: Drawn | None,
    number: int,
    reviewer: str,
) -> str:
    """Write the next fields as a page. Returns how many the page has. Raises UsageProblem if nothing is left."""
    drawn = only or standing.next_drawn
    cells = list(islice(standing.upcoming(drawn), number))
    if not cells:
        raise UsageProblem("nothing is left to be reviewed.", hint="see the promise: --status")
    shown = list(shown_cells(found, opened.audits, standing, cells))
    text = page_of(shown, standing, drawn, title=f"Review of {opened.job.name}", reviewer=reviewer)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be written: {error.strerror}.", hint="name another file") from error
    return count(len(cells), "field")


def page_of(shown: list[ShownCell], standing: Standing, drawn: Drawn, *, title: str, reviewer: str) -> str:
    """Return the page. All texts are made inert, and the policy of the page lets only its own script run."""
    template = resources.files("batchrun.cli.views").joinpath("review_page.html").read_text("utf-8")
    policy = (
        f"default-src 'none'; style-src {_hash(template, 'style')}; script-src {_hash(template, 'script')};"
        " base-uri 'none'; form-action 'none'"
    )
    page = {"batchrun_review": 1, "audit": standing.audit.audit_id, "reviewer": reviewer}
    parts = {
        "policy": policy,
        "title": escape(title),
        "page": _as_attribute(page),
        "articles": "\n".join(_article(one, drawn) for one in shown),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _hash(template: str, element: str) -> str:
    """Return the source expression for the one script or style of the page, by its hash (CSP level 2)."""
    inside = template.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"


def _article(shown: ShownCell, drawn: Drawn) -> str:
    cell = {"doc": shown.cell.doc_id, "field": shown.cell.field, "request": shown.request_id, "drawn": drawn}
    statuses = ", ".join(str(one.told.get("problem") or one.told.get("status", "")) for one in shown.evidence)
    return ARTICLE.format(
        cell=_as_attribute(cell),
        name=_inert(f"{shown.cell.field} of {shown.cell.doc_id}" + (f": quote {statuses}" if statuses else "")),
        value=_inert(shown.value),
        excerpts="\n".join(map(_excerpt, shown.excerpts)),
        summary=_inert(f"not shown: {shown.problem}" if shown.problem else f"the document, {shown.source}"),
        text=_inert(shown.text),
    )


def _excerpt(excerpt: Excerpt) -> str:
    quote = f"<mark>{_inert(excerpt.quote)}</mark>" if excerpt.quote else ""
    return f"<pre>{_inert(excerpt.before)}{quote}{_inert(excerpt.behind)}</pre>"


def _inert(text: str) -> str:
    """Return somebody else's text as HTML, with its line breaks and without control characters."""
    lines = text.replace("\r\n", "\n").replace("\t", " ").translate(PLAIN_LINES).split("\n")
    return escape("\n".join(map(escape_control, lines)))


def _as_attribute(value: Mapping[str, object]) -> str:
    """Return JSON in ASCII for an attribute, so that a browser hands back each character of a name as it is."""
    return escape(json.dumps(value))
