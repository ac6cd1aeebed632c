"""The head of the page: the verdict, the facts and six numbers."""

from batchrun.report.facts import RunReport
from batchrun.report.markup import Markup, joined, tag
from batchrun.report.words import facts_of, six_numbers, title_of, verdict


def head(report: RunReport) -> Markup:
    """Return the title, the verdict, and what was run when and with what."""
    found, story = verdict(report), report.story
    simulated = tag("p", tag("strong", "SIMULATED: "), "pretend answers of the built-in simulator; nothing was paid.",
                    class_="verdict simulated")  # fmt: skip
    gaps = [tag("li", gap) for gap in report.gaps]
    return tag(
        "header",
        tag("p", "batchrun report", class_="kicker"),
        tag("h1", story.job, tag("span", f" {title_of(report).partition(story.job)[2].strip()}")),
        *([simulated] if story.simulated else []),
        tag("p", tag("strong", found.head), joined(" "), found.sentence, class_=f"verdict {found.level}"),
        *([tag("p", f"What to do next: {report.hint}.", class_="caption")] if report.hint else []),
        tag("p", " · ".join(facts_of(report)), class_="facts"),
        *([tag("ul", *gaps, class_="facts")] if gaps else []),
    )


def numbers(report: RunReport) -> Markup:
    """Return the six numbers that say most of a run."""
    shown = (
        tag("div", tag("dt", name), tag("dd", value, class_="number"), tag("dd", words))
        for name, value, words in six_numbers(report)
    )
    return tag("dl", *shown, class_="numbers")
