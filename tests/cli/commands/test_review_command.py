"""`batchrun review`: at a terminal by keys, as a page and its import, and how the review stands."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import pytest
from command_line import CommandLine, Ran
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.duckdb_file import LockedByAnother
from batchrun.errors import ExitCode
from batchrun.quality.checks.result import CheckResult, CheckStatus

pytestmark = pytest.mark.slow

EVIL = "</pre><script>alert(1)</script>\x1b[31m\u202e{{policy}}"
Keys = Callable[..., Ran]


def text_of(number: int) -> str:
    return f"AGREEMENT {number}\n\nThe term of this Agreement is {number + 2} months.\nMade by Alder {EVIL} Ltd.\n"


def given(project: TrialProject, documents: int = 3, *, has_law: bool = True, **changes: str) -> list[str]:
    """Submit a job whose answers quote the documents. The first term is wrong. Returns what was sent."""
    script: dict[str, list[Any]] = {}
    for number in range(documents):
        text = text_of(number)
        project.document(f"{number}.txt", text)
        quote = f"The term of this Agreement is {number + 2} months."
        values = {"term_quote": quote, "term": number + 2 if number else 99}
        script[text] = [answer({**values, "law_quote": "", "law": None} if has_law else values)]
    sections = {
        "output": "evidence = true\nmax_repairs = 0",
        "output_fields": 'term = "integer"' + ('\nlaw = "string?"' if has_law else ""),
        "review": "max_error = 0.2",
    }
    project.job(**{**sections, **changes})
    provider = ScriptedProvider(script)
    project.submit(provider)
    return provider.sent


@pytest.fixture(autouse=True)
def _same_fields_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.workflow.review.secrets.randbits", lambda _: 3)


@pytest.fixture
def at_terminal(batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """Runs `review` at a terminal where these keys are pressed and these lines typed; the last key is Ctrl-C."""

    def run(keys: str, *typed: str | Exception, options: str = "") -> Ran:
        def following(given: Iterator[Any]) -> Callable[..., Any]:
            def give(*_: object, **__: object) -> Any:
                if isinstance(one := next(given), BaseException):
                    raise one
                return one

            return give

        with monkeypatch.context() as patch:
            patch.setattr("click.getchar", following(iter([*keys, KeyboardInterrupt()])))
            patch.setattr("click.prompt", following(iter(typed)))
            patch.setattr("batchrun.cli.commands.review.is_terminal", lambda: True)
            return batchrun(f"review trial --reviewer ada {options}")

    return run


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def said(project: TrialProject) -> list[tuple[str, str, str, str | None, str]]:
    return project.ask("select drawn, field, verdict, value, reviewer from reviews order by review_no")


# --- at a terminal


def test_keys_review_one_field_after_the_other(project: TrialProject, at_terminal: Keys) -> None:
    given(project)
    ran = at_terminal("a" * 6)
    assert ran.code == ExitCode.OK
    assert {(drawn, verdict) for drawn, _, verdict, *_ in said(project)} == {("audit", "accepted")}
    assert len(said(project)) < 6, "the promise is made before all fields are reviewed"
    shown = ran.out.partition("drawn 1 of about")[2]
    assert "»The term of this Agreement is" in ran.out
    assert "a accept, c correct, r reject, s skip, b back, m more text, q quit" in shown
    assert "\x1b[31m" not in ran.out
    assert "\\x1b[31m\\u202e" in ran.out
    assert re.search(
        r"promise  Of the 6 fields accepted without a person's eye, at most 20% are wrong, with 95% confidence; found"
        r" on \d fields drawn at random, 0 wrong\. It holds for these documents, this score and the reviewers' own eye;"
        r" an added document is not covered\.",
        ran.out,
    )
    saved, promise, following = ran.out.splitlines()[-3:]
    assert (saved, following) == (f"saved    {len(said(project))} reviews", "next     batchrun results jobs/trial.toml")
    assert promise.startswith("promise  Of the 6 fields accepted")


def test_a_typed_value_reaches_the_row_and_going_back_asks_again(project: TrialProject, at_terminal: Keys) -> None:
    given(project, documents=2, has_law=False)
    ran = at_terminal("cccccbr", "two", "", click.Abort(), click.UsageError("no editor is there"), " 2 ")
    assert "'two' is not a whole number" in ran.err
    assert "no editor is there" in ran.err
    assert "saved    1 review\n" in ran.out, "the output has the corrections though the last key is Ctrl-C"
    ((drawn, field, verdict, value, who), second) = said(project)
    assert (drawn, field, verdict, value, who) == ("audit", "term", "corrected", "2", "ada")
    assert "before   corrected by ada" in ran.out
    assert second[2:4] == ("rejected", None), "a field that is never null keeps its value"
    ((told,),) = project.rows("select _corrections from trial where _corrections is not null")
    assert json.loads(told)["term"]["verdict"] == "rejected"


def test_looking_and_skipping_say_nothing_and_the_queue_takes_whole_documents(
    project: TrialProject, at_terminal: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project)
    looked = at_terminal("mbxs")
    assert said(project) == []
    assert looked.out.count("Made by Alder") > 2
    assert "saved    0 reviews, 1 skipped\npromise  None yet: it takes about" in looked.out
    with monkeypatch.context() as patch:
        patch.setattr("batchrun.store.ledger.audits.Audits.output", lambda *_: None)
        ran = at_terminal("A", options="--queue")
    assert (ran.code, "the document has another answer now" in ran.err, said(project)) == (ExitCode.OK, True, [])
    ran = at_terminal("AAAA", options="--queue")
    assert "nothing is left to be reviewed in this stream" in ran.out
    assert [drawn for drawn, *_ in said(project)] == ["queue"] * 6


def test_a_document_with_a_failed_check_comes_early(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(project, **{"[check]": 'name = "long"\nsql = "select doc_id from trial where term = 4"'})
    failed = CheckResult(
        name="long",
        severity="error",
        status=CheckStatus.FAILED,
        sentence="",
        rows=({"doc_id": "docs/2.txt"}, {"n": "1"}),
    )
    monkeypatch.setattr("batchrun.workflow.review.checks_of", lambda *_, **__: (failed,))
    with monkeypatch.context() as patch:
        patch.setattr("batchrun.store.output.publish.Output.publish", raising(LockedByAnother(project.database, "R")))
        assert "is in use by R" in batchrun("review trial --html page.html").err
    assert project.ask("select count(*) from audits") == [(0,)], "no score is frozen without the checks"
    batchrun("review trial --html page.html --queue --next 6")
    cells = Articles((project.root / "page.html").read_text("utf-8")).cells
    assert [one["doc"] for one in cells[::2]] == ["docs/0.txt", "docs/2.txt", "docs/1.txt"]


def test_without_a_terminal_or_its_section_it_says_what_to_do(project: TrialProject, batchrun: CommandLine) -> None:
    given(project, documents=1)
    ran = batchrun("review trial")
    assert ran.code == ExitCode.USAGE
    assert "--status" in ran.err
    assert "--html FILE" in ran.err
    assert project.ask("select count(*) from audits") == [(0,)]
    assert batchrun("review trial --status --open").code == ExitCode.USAGE
    project.job()
    ran = batchrun("review trial --status")
    assert (ran.code, "[review] max_error = 0.05" in ran.err) == (ExitCode.USAGE, True)


# --- how it stands


def test_status_tells_how_it_stands_and_another_promise_needs_another_audit(
    project: TrialProject, batchrun: CommandLine, at_terminal: Keys
) -> None:
    given(project, documents=10)
    assert batchrun("review trial --status").out.splitlines() == [
        "A promise of at most 20% takes 11 of the 20 fields if none of them is wrong, 17 if one is, 18 if two are."
        " No audit is open yet.",
        "next     batchrun review jobs/trial.toml",
    ]
    assert batchrun("review trial --json").json["cells"] == 20
    at_terminal("ar")
    status = batchrun("review trial --json").json
    assert (status["drawn"], status["wrong"], status["promised"], status["documents"]) == (2, 1, False, 10)
    assert status["reviews_needed"]["0"] == 11
    assert given(project, documents=11, review="max_error = 0.1") == [text_of(10)], "no request depends on [review]"
    assert "0 answers changed and 1 document added since are not covered" in batchrun("review trial --status").out

    ran = at_terminal("a")
    assert (ran.code, "the audit was opened with max_error = 0.2" in ran.err) == (ExitCode.USAGE, True)
    assert at_terminal("", options="--open").code == ExitCode.OK
    status = batchrun("review trial --json").json
    assert (status["max_error"], status["documents"], status["added"]) == (0.1, 11, 0)


# --- the page


class Articles(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[dict[str, Any]] = []
        self.page: dict[str, Any] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if tag == "article":
            self.cells.append(json.loads(found["data-cell"] or ""))
        if tag == "body":
            self.page = json.loads(found["data-page"] or "")


@pytest.fixture
def page(project: TrialProject, batchrun: CommandLine) -> str:
    given(project)
    assert batchrun("review trial --html page.html --next 4 --reviewer ada").code == ExitCode.OK
    return (project.root / "page.html").read_text("utf-8")


def test_the_page_is_inert_and_a_hostile_file_is_refused_whole(
    project: TrialProject, batchrun: CommandLine, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Articles(page)
    assert len(found.cells) == 4
    assert found.tags.count("script") == found.tags.count("style") == 1
    assert "&lt;/pre&gt;&lt;script&gt;alert(1)" in page
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", page)
    assert "{{policy}}" in page, "what a document says is no part of the template"
    for element in ("script", "style"):
        inside = page.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page
    assert "<mark>The term of this Agreement is" in page
    assert not re.search(r"""(?:src|href)=["']""", page)
    _refuses_hostile_files(project, batchrun, page, monkeypatch)


def exported(page: str, verdict: str = "accepted", typed: str = "", **changes: Any) -> dict[str, Any]:
    """What the page exports when every field is reviewed alike."""
    found = Articles(page)
    said_ = {"verdict": verdict, "typed": typed, "at": time.time(), **changes}
    return {**found.page, "reviews": [{**cell, **said_} for cell in found.cells]}


def imported(batchrun: CommandLine, root: Path, content: object) -> Ran:
    path = root / "reviews.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return batchrun("review trial --import reviews.json")


HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no JSON": lambda _: b"{",
    "not UTF-8": lambda _: b"\xff\xfe{}",
    "deep": lambda _: b"[" * 100_000,
    "a list": lambda _: [],
    "another version": lambda content: {**content, "batchrun_review": 2},
    "another audit": lambda content: {**content, "audit": "0" * 32},
    "no name": lambda content: {**content, "reviewer": "\x1b[2J"},
    "long name": lambda content: {**content, "reviewer": "x" * 101},
    "too many": lambda content: {**content, "reviews": content["reviews"][:1] * 501},
    "more keys": lambda content: changed(content, more=1),
    "other document": lambda content: changed(content, doc="docs/\x1b[2J.txt"),
    "other field": lambda content: changed(content, field="_request_id"),
    "other stream": lambda content: changed(content, drawn="best"),
    "other verdict": lambda content: changed(content, verdict="deleted"),
    "wrong value": lambda content: changed(content, verdict="corrected", typed="[["),
    "no text": lambda content: changed(content, typed=None),
    "the future": lambda content: changed(content, at=1e12),
    "the past": lambda content: changed(content, at=0),
    "no time": lambda content: changed(content, at=float("nan")),
}


def changed(content: dict[str, Any], **values: Any) -> dict[str, Any]:
    """What a page exports, with other values in the entry that is last."""
    entries = sorted(content["reviews"], key=lambda one: one["field"] == "term")
    return {**content, "reviews": [*entries[:-1], {**entries[-1], **values}]}


def _refuses_hostile_files(
    project: TrialProject, batchrun: CommandLine, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, spoilt in HOSTILE.items():
        ran = imported(batchrun, project.root, spoilt(exported(page)))
        assert (name, ran.code, said(project)) == (name, ExitCode.USAGE, [])
        assert "Traceback" not in ran.err
        assert "\x1b" not in ran.err
    monkeypatch.setattr("batchrun.cli.import_reviews.MOST_CELLS", 2)
    ran = imported(batchrun, project.root, exported(page))
    assert (ran.code, "entry 3 of reviews.json: the field was not drawn" in ran.err) == (ExitCode.USAGE, True)


def test_an_import_is_recorded_once_and_without_answers_that_have_changed(
    project: TrialProject, batchrun: CommandLine, page: str
) -> None:
    content = exported(page, "rejected")
    project.document("0.txt", "changed")
    project.submit(ScriptedProvider(default=answer({"term_quote": "", "term": 1, "law_quote": "", "law": None})))
    left = sum(one["doc"] == "docs/0.txt" for one in content["reviews"])
    twice = {**content, "reviews": [*content["reviews"], *content["reviews"]]}
    assert f"{4 - left} reviews, {4 + left} left out" in imported(batchrun, project.root, twice).out
    assert {(verdict, who) for _, _, verdict, _, who in said(project)} == {("rejected", "ada")}
    assert "0 reviews, 4 left out: known" in imported(batchrun, project.root, content).out
    assert len(said(project)) == 4 - left
