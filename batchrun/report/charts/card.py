"""What stands around a chart: its title, what there is to see, its legend, and the table behind the chart."""

from collections.abc import Sequence

from batchrun.report.markup import Markup, tag

Rows = Sequence[Sequence[str]]


def card(name: str, title: str, caption: str, *body: str) -> Markup:
    """Return a section of the page with its title and a sentence or two. `name` is unique on the page."""
    told = [tag("p", caption, class_="caption")] if caption else []
    return tag("section", tag("h3", title), *told, *body, class_="card", id=name)


def chart_card(
    name: str, title: str, caption: str, drawn: Markup, header: Sequence[str], rows: Rows, *more: str,
    legend: Sequence[tuple[str, str]] = (),
) -> Markup:  # fmt: skip
    """Return a card with a picture and the table behind the picture, which opens on demand.

    `legend` has what lines, marks and fillings mean: pairs of a class of the style sheet and of words. `more` stands
    at the end.
    """
    entries = (tag("li", tag("span", class_=f"key {kind}"), words) for kind, words in legend)
    explained = [tag("ul", *entries, class_="legend")] if legend else []
    summary = tag("summary", "Data table", tag("span", f" of {title}", class_="unseen"))
    behind = tag("details", summary, table(f"Data of {title}", header, rows))
    return card(name, title, caption, *explained, drawn, behind, *more)


def table(title: str, header: Sequence[str], rows: Rows) -> Markup:
    """Return a table whose first column names the line. A keyboard can scroll it where it is wider than the page."""
    head = tag("tr", *(tag("th", name, scope="col") for name in header))
    body = (tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows)
    whole = tag("table", tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label=title)
