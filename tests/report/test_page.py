"""The page of a run: whole, inert, the same each time, and small."""

import base64
import hashlib
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from batchrun.estimation.interval import Interval
from batchrun.quality.checks.result import CheckResult, CheckStatus
from batchrun.quality.evaluate import GoldScores
from batchrun.quality.matching.match import Matched
from batchrun.quality.scores import score
from batchrun.quality.tune.frontier import Frontier, FrontierPoint
from batchrun.report.markup import Markup, tag
from batchrun.report.page import html_page
from batchrun.store.ledger.cascades import Escalations
from batchrun.store.ledger.records import MinuteUse
from batchrun.store.ledger.run_metrics import Activity
from batchrun.store.reports.curves import Bin, Moment, TokenFit
from batchrun.store.reports.evidence import FieldEvidence
from batchrun.strategy.duration import Bound


def parsed(page: str) -> ET.Element:
    return ET.fromstring(page.removeprefix("<!doctype html>\n"))


def cards(page: str) -> list[str]:
    return [section.get("id") for section in parsed(page).iter("section")]


@pytest.fixture(scope="module")
def full(report_of):
    """A report of everything there is to show, of a large run."""
    report = report_of(3)
    start = report.story.started_at
    third = Interval(0.9, 0.8, 0.95)
    uses = [MinuteUse("m", int(start // 60) + number, 90, 9_000, 900, 100, 10_000, 9_000) for number in range(3_000)]
    evidence = [
        FieldEvidence(f"field {number}", 9, {"exact": 5, "differs": 2, "missing": 2}, 4) for number in range(300)
    ]
    matched = Matched(True, 1, 1, 1)
    return replace(
        report,
        fit=TokenFit(prompts=9_999, bias=0.1, near=0.5, dots=[("d" * 50, 100.0 + n, 1.0) for n in range(800)]),
        moments=[Moment(start + 1500 * n, n * 10**7, n, n % 3, n % 5) for n in range(1, 120)],
        latency_bins=[Bin(n, n + 1, n, 99.0) for n in range(40)],
        fields=[replace(report.fields[0], field=f"field {number}") for number in range(200)],
        findings=replace(report.findings, fields=evidence, repairs=3, mended=2, voted=5, votes=9, agreement={"a": 0.5}),
        performance=replace(
            report.performance,
            minutes=uses,
            activity=Activity(start, start + 180_000, 9, 9.0),
            shares={Bound.REQUESTS: 0.9, Bound.INPUT_TOKENS: 0.5},
        ),
        checks=[CheckResult(name="c", severity="warn", status=CheckStatus.FAILED, sentence="s")],
        gold=GoldScores(score({f"d{n}": {"title": matched} for n in range(30)}), "labels.csv"),
        escalations=[Escalations("small", 9, {"invalid": 2})],
        frontier=Frontier(0.9, False, "found", "cheap", [
            FrontierPoint("cheap", "chosen", 9, third, Interval(1e6, 9e5, 2e6)),
            FrontierPoint("dear", "not asked", 0, None, Interval(9e6, 9e6, 9e6)),
        ]),
    )  # fmt: skip


def test_a_page_shows_what_a_run_has_and_leaves_the_rest_out(first, full):
    assert cards(html_page(first)) == ["spend", "rates", "latency", "tokens", "attention", "fields", "classes"]
    assert cards(html_page(full)) == [
        "spend", "rates", "latency", "tokens", "fields", "evidence", "checks", "gold", "classes", "cascade",
        "frontier", "previous",
    ]  # fmt: skip


def test_the_same_run_has_the_same_bytes(report_of, first):
    assert html_page(report_of(1)) == html_page(first)


def test_a_page_of_everything_is_small(full):
    assert len(html_page(full).encode()) < 700_000


def test_each_chart_has_its_table_and_each_id_is_there_once(full):
    root = parsed(html_page(full))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for section in root.iter("section"):
        assert section.find(".//table") is not None
    assert all("Data table of" in "".join(one.itertext()) for one in root.iter("summary"))


def test_only_the_pages_own_style_and_script_are_let_in(first):
    page = html_page(first, tag("p", "results"), style=".x { color: red; }", script="'use strict';")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    for name in ("style", "script"):
        (inside,) = re.findall(f"<{name}>(.*?)</{name}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src &#x27;sha256-{digest}&#x27;;" in policy
    assert policy.startswith("default-src &#x27;none&#x27;;")
    attributes = {name: value for one in parsed(page).iter() for name, value in one.attrib.items()}
    assert not [name for name in attributes if name == "style" or name.startswith("on")]
    assert not attributes.keys() & {"href", "src", "action", "srcset", "data"}


def test_what_others_wrote_does_nothing(hostile):
    page = html_page(hostile)
    assert {one.tag for one in parsed(page).iter()} & {"script", "img", "a", "iframe", "object", "form"} == set()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page


def test_a_simulated_run_says_so_in_its_title_and_at_its_top(first):
    real = html_page(first)
    page = html_page(replace(first, story=replace(first.story, simulated=True)))
    assert "SIMULATED" not in real
    assert parsed(page).find("head/title").text.startswith("SIMULATED trial run ")
    assert "SIMULATED: " in "".join(parsed(page).find(".//header").itertext())


def test_results_stand_at_the_end_and_a_live_page_loads_itself_again(first):
    page = html_page(first, Markup('<section id="results"><h2>Results</h2></section>'), refresh_s=15)
    assert cards(page)[-1] == "results"
    assert '<meta http-equiv="refresh" content="15"/>' in page
    assert "refresh" not in html_page(first)


def test_what_is_drawn_of_a_batch_is_its_life(report_of):
    report = report_of(1)
    assert "Batches over time" not in html_page(report)
    batched = replace(report, story=replace(report.story, route="batch"))
    assert cards(html_page(batched))[:2] == ["spend", "tokens"]
