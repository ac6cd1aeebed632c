"""What stands around a chart: its title, what there is to see, its legend, and the table behind the chart."""

from collections.abc import Sequence

from batchrun.report.markup import Markup, joined, tag


def card(name: str, title: str, caption: str, *body: str, wide: bool = False) -> Markup:
    """Return a section of the page with its title and a sentence or two. `name` is unique on the page."""
    told = [tag("p", caption, class_="caption")] if caption else []
    return tag("section", tag("h3", title), *told, *body, class_="card wide" if wide else "card", id=name)


def legend(*entries: tuple[str, str]) -> Markup:
    """Return what the lines, marks and fillings mean: pairs of a class of the style sheet and of words."""
    return tag("ul", *(tag("li", tag("span", class_=f"key {kind}"), words) for kind, words in entries), class_="legend")


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table whose first column names the line. A keyboard can scroll it where it is wider than the page."""
    head = tag("tr", *(tag("th", name, scope="col") for name in header))
    body = (tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows)
    whole = tag("table", tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label=title)


def data_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> Markup:
    """Return the table behind a chart, which opens on demand; `note` says what the table leaves out."""
    hidden = tag("span", f" of {title}", class_="unseen")
    told = [tag("p", note, class_="caption")] if note else []
    return tag("details", tag("summary", "Data table", hidden), *told, table(f"Data of {title}", header, rows))


def commands(lines: Sequence[tuple[str, str]]) -> Markup:
    """Return commands, each with what the command does."""
    return tag("ul", *(tag("li", tag("code", line), joined(f" {what}")) for line, what in lines), class_="commands")
