"""A page with fields to be reviewed in a browser: one file, which loads nothing and sends nothing."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources

from batchrun.cli.views.review_cell import ShownCell
from batchrun.escaping import escape_control
from batchrun.store.ledger.audits import Audit, Drawn
from batchrun.workflow.evidence_context import PLAIN_LINES, Excerpt

ARTICLE = """<article tabindex="0" data-cell="{cell}">
<h2>{name}</h2>
<pre class="value">{value}</pre>
{excerpts}
<details><summary>{summary}</summary><pre class="text">{text}</pre></details>
<p><button class="accept">accept</button> <button class="correct">correct</button>
<button class="reject">reject</button> <b class="said"></b></p>
<label hidden>right value, as text or JSON; Enter takes it over <textarea rows="3">{value}</textarea></label>
</article>"""


def page_of(shown: Iterable[ShownCell], audit: Audit, drawn: Drawn, *, title: str, reviewer: str) -> str:
    """Return the page. All texts are made inert, and the policy of the page lets only its own script run."""
    template = resources.files("batchrun.cli.views").joinpath("review_page.html").read_text("utf-8")
    policy = (
        f"default-src 'none'; style-src {_hash(template, 'style')}; script-src {_hash(template, 'script')};"
        " base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": escape(title),
        "page": _as_attribute({"batchrun_review": 1, "audit": audit.audit_id, "reviewer": reviewer}),
        "articles": "\n".join(_article(one, audit, drawn) for one in shown),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _hash(template: str, element: str) -> str:
    """Return the source expression for the one script or style of the page, by its hash (CSP level 2)."""
    inside = template.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"


def _article(shown: ShownCell, audit: Audit, drawn: Drawn) -> str:
    doc_id, field = shown.cell
    request_id = audit.documents[doc_id].request_id
    cell = {"doc": doc_id, "field": field, "request": request_id, "drawn": drawn}
    statuses = ", ".join(str(one.told.get("problem") or one.told.get("status", "")) for one in shown.evidence)
    return ARTICLE.format(
        cell=_as_attribute(cell),
        name=_inert(f"{field} of {doc_id}" + (f": quote {statuses}" if statuses else "")),
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
