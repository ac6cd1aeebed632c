"""The report of a run as one HTML file: nothing is loaded and nothing is sent, and all of it is read without script."""

import base64
import hashlib
from importlib import resources

from batchrun.report.facts import RunReport
from batchrun.report.markup import Markup, joined, tag
from batchrun.report.sections.answers import (
    attention_card,
    checks_card,
    escalated_card,
    evidence_card,
    fields_card,
    gold_card,
)
from batchrun.report.sections.history import frontier_card, previous_card
from batchrun.report.sections.money import classes_card, spend_card
from batchrun.report.sections.numbers import head, numbers
from batchrun.report.sections.pace import pace_cards, tokens_card
from batchrun.report.words import title_of


def html_page(
    report: RunReport,
    results: Markup = Markup(""),  # noqa: B008 - a text that never changes
    *,
    style: str = "",
    script: str = "",
    refresh_s: int | None = None,
) -> str:
    """Return the page of a report, the same text for the same report.

    `results` stands at the end, with a `style` and a `script` of its own, neither of which has a `</`. The page loads
    itself again every `refresh_s` seconds, if given.
    """
    css = resources.files("batchrun.report").joinpath("page.css").read_text("utf-8") + style
    policy = (
        f"default-src 'none'; style-src {_hash(css)}; script-src {_hash(script)}; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )
    again = [tag("meta", http_equiv="refresh", content=refresh_s)] if refresh_s else []
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=policy),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            *again,
            tag("title", title_of(report)),
            tag("style", Markup(css)),
        ),
        tag("body", tag("main", body(report), results), *([tag("script", Markup(script))] if script else [])),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def body(report: RunReport) -> Markup:
    """Return the page without its frame: for a notebook, too."""
    cards = (
        spend_card(report), *pace_cards(report), tokens_card(report), attention_card(report), fields_card(report),
        evidence_card(report), checks_card(report), gold_card(report), classes_card(report), escalated_card(report),
        frontier_card(report), previous_card(report),
    )  # fmt: skip
    shown = tag("div", *(one for one in cards if one), class_="cards")
    return joined(head(report), tag("h2", "Summary"), numbers(report), tag("h2", "How it ran"), shown)


def _hash(text: str) -> str:
    """Return the source expression for the one script or style of the page, by its hash (CSP level 2)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
