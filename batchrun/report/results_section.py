"""The results in the report of a run: a row for each shown document, which opens its answer and its source."""

import base64
import json
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources

from batchrun.catalog.money import dollars
from batchrun.documents.formats.pdf_pictures import PagePicture
from batchrun.escaping import escape_control, shown_path
from batchrun.report.documents import ReportDocument, ReportDocuments
from batchrun.report.facts import PENDING
from batchrun.report.markup import Markup, joined, tag
from batchrun.workflow.evidence_context import Excerpt, FieldEvidence, lines_of, standing_words

MOST_BYTES = 340_000
"""The most bytes of all rows, without pictures. Where this is not enough, rows cannot be opened."""
MOST_COLUMNS = 2
"""How many fields have a column."""
MOST_CELL, MOST_VALUE, MOST_REASON, MOST_QUOTE = 60, 400, 240, 600
"""How many characters are shown of a value in a column, of a value, of a reason, and of a quote."""
MOST_QUOTES, MOST_FIELDS, MOST_BOXES = 3, 60, 100
"""How many quotes of a field, fields of an answer, and boxes on a picture are shown."""

FILES = resources.files("batchrun.report")
STYLE, SCRIPT = (FILES.joinpath(f"results.{ending}").read_text("utf-8") for ending in ("css", "js"))


def results_section(documents: ReportDocuments, run_id: str) -> Markup:
    """Make the section with the results. Whatever documents and models wrote is text, and nothing else."""
    columns = _columns(documents)
    rows = list(_fitting((one, _cells(one, columns)) for one in documents.shown))
    room = dict.fromkeys((True, False), (MOST_BYTES - sum(_size(cells) for _, cells in rows)) // 2)
    listed = [_item(one, cells, room, run_id if documents.has_texts else None) for one, cells in rows]
    header = joined(
        *(tag("span", name) for name in ("document", "status", *columns, "input tokens", "cost", "problem"))
    )
    return tag(
        "section",
        tag("h2", "Results"),
        tag("p", _scope(documents, [one for one, _ in rows]), class_="caption"),
        _finding(documents),
        tag("div", header, class_=f"row header columns-{len(columns)}", aria_hidden="true"),
        tag("ul", *listed, id="documents"),
        class_="results",
    )


def _item(one: ReportDocument, cells: Markup, room: dict[bool, int], run_id: str | None) -> Markup:
    """Make a row that opens, if there is room for what it opens. Without a `run_id` there is nothing to open."""
    opened = _opened(one, run_id) if run_id else Markup()
    if run_id is None or _size(opened) > room[one.found.failed]:
        return tag("li", cells, data_status=_status(one))
    room[one.found.failed] -= _size(opened)
    pictures = joined(*(_picture(picture, one) for picture in one.pictures))
    shown = tag("div", opened, pictures, class_="opened")
    return tag("li", tag("details", tag("summary", cells), shown), data_status=_status(one))


def _fitting(rows: Iterable[tuple[ReportDocument, Markup]]) -> Iterator[tuple[ReportDocument, Markup]]:
    """Yield rows until there is no room for another one."""
    left = MOST_BYTES
    for one, cells in rows:
        left -= _size(cells)
        if left < 0:
            return
        yield one, cells


def _scope(documents: ReportDocuments, shown: Sequence[ReportDocument]) -> str:
    total, problems = documents.total, sum(one.found.failed for one in shown)
    texts = "" if documents.has_texts else " No text of documents and answers is shown."
    if len(shown) == total:
        return f"all {total:,} documents of the run.{texts}"
    which = "every problem" if problems == documents.problems else f"{problems:,} of {documents.problems:,} problems"
    return f"{len(shown):,} of {total:,} documents: {which}, and a sample of the others, chosen by their ids.{texts}"


def _finding(documents: ReportDocuments) -> Markup:
    """Make the form that finds rows, which only the script shows."""
    statuses = sorted({_status(one) for one in documents.shown})
    options = [tag("option", "all", value=""), *(tag("option", status, value=status) for status in statuses)]
    return tag(
        "form",
        tag("label", "Find ", tag("input", id="find", type="search", placeholder="id, problem, text")),
        tag("label", "Status ", tag("select", *options, id="status")),
        tag("output", id="shown"),
        id="finding",
        hidden="hidden",
    )


def _columns(documents: ReportDocuments) -> list[str]:
    """Choose the fields that have a column: the first ones of an answer."""
    return next((list(one.values)[:MOST_COLUMNS] for one in documents.shown if one.values), [])


def _status(one: ReportDocument) -> str:
    return str(one.found.outcome or PENDING)


def _cells(one: ReportDocument, columns: Sequence[str]) -> Markup:
    """Make the cells of a row. A column's name stands beside its cell where the page is narrow."""
    found, values = one.found, one.values or {}
    tokens = "" if found.input_tokens is None else f"{found.input_tokens:,}"
    cost = "" if found.cost_nusd is None else dollars(found.cost_nusd)
    named = [(name, _value(values[name], MOST_CELL) if name in values else "") for name in columns]
    cells = [
        tag("span", shown_path(found.doc_id), class_="id"),
        tag("span", tag("b", _status(one), class_=f"status {_status(one)}")),
        *(tag("span", tag("i", f"{name} ") if value else "", value) for name, value in named),
        tag("span", tag("i", "input tokens ") if tokens else "", tokens),
        tag("span", tag("i", "cost ") if cost else "", cost),
        tag("span", _cut(found.reason or "", MOST_REASON)),
    ]
    return tag("span", *cells, class_=f"row columns-{len(columns)}")


def _opened(one: ReportDocument, run_id: str) -> Markup:
    """Make what a row opens, without the pictures."""
    quotes = defaultdict[str, list[FieldEvidence]](list)
    for evidence in one.evidence:
        quotes[evidence.field].append(evidence)
    values = one.values or {}
    names = list(dict.fromkeys([*values, *quotes]))
    answer = [
        tag(
            "div",
            tag("dt", name),
            tag("dd", _value(values[name], MOST_VALUE) if name in values else "", *_quotes(quotes[name])),
        )
        for name in names[:MOST_FIELDS]
    ]
    command = f"batchrun results {run_id} --doc {shlex.quote(one.found.doc_id)}"
    return joined(
        tag("p", "source ", tag("code", one.source), " · everything: ", tag("code", command)),
        tag("dl", *answer) if answer else "",
        tag("p", f"and {len(names) - MOST_FIELDS:,} more fields") if len(names) > MOST_FIELDS else "",
        tag("pre", _lines(f"{one.beginning} …")) if one.beginning else "",
        tag("p", f"the document is not shown: {one.unread}", class_="unread") if one.unread else "",
    )


def _quotes(evidence: Sequence[FieldEvidence]) -> Iterator[Markup]:
    """Make the quotes of a field, among the lines of their document where the document is at hand."""
    for one in evidence[:MOST_QUOTES]:
        words = standing_words(one.told)
        yield tag("p", f"{one.name}: {words}" if one.entry or one.part else f"quote {words}", class_="quote")
        if problem := one.told.get("problem"):
            yield tag("p", _cut(problem, MOST_QUOTE), class_="unread")
        yield from map(_excerpt, one.context[:MOST_QUOTES])
        if not one.context and one.told.get("text"):
            yield tag("pre", _lines(_shortened(one.told["text"])))
    if len(evidence) > MOST_QUOTES:
        yield tag("p", f"and {len(evidence) - MOST_QUOTES:,} more quotes")


def _excerpt(excerpt: Excerpt) -> Markup:
    quote = tag("mark", _lines(_shortened(excerpt.quote)))
    return tag("pre", _lines(excerpt.before), quote, _lines(excerpt.behind))


def _picture(picture: PagePicture, one: ReportDocument) -> Markup:
    """Make a page with the boxes around its quotes, which also stand as text in the row."""
    names = ", ".join(dict.fromkeys(one.pictured[picture.page]))
    data = base64.b64encode(picture.png).decode("ascii")
    boxes = [
        tag("rect", x=x - 2, y=y - 2, width=w + 4, height=h + 4)
        for x, y, w, h in list(dict.fromkeys(picture.boxes))[:MOST_BOXES]
        if w and h
    ]
    words = (
        f"Page {picture.page} of {shown_path(one.source)}, with boxes around the quotes for {_cut(names, MOST_VALUE)}"
    )
    size = {"width": picture.width, "height": picture.height}
    image = tag("img", src=f"data:image/png;base64,{data}", alt=words, **size)
    drawn = tag("svg", *boxes, viewBox=f"0 0 {picture.width} {picture.height}", aria_hidden="true")
    return tag("figure", tag("div", image, drawn, class_="page"), tag("figcaption", words))


def _value(value: object, most: int) -> str:
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=float), most)


def _cut(words: str, most: int) -> str:
    words = escape_control(words)  # which makes it longer
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _shortened(quote: str) -> str:
    half = MOST_QUOTE // 2
    return quote if len(quote) <= MOST_QUOTE else f"{quote[:half]} … {quote[-half:]}"


def _lines(words: str) -> Markup:
    """Escape a text, and keep its lines."""
    return Markup("\n".join(joined(line.replace("\t", " ")) for line in lines_of(words)))


def _size(markup: Markup) -> int:
    return len(markup.encode())
