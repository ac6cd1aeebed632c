"""Files that have not changed since their documents were settled: they are not opened, and nothing else is taken so."""

import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_models import FIRST, SECOND, models
from scripted_provider import BAD_KEY, ScriptedProvider, answer, status
from trial_project import TrialProject, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.document import text_sha
from batchrun.documents import formats
from batchrun.documents.formats import FORMATS, reading
from batchrun.errors import ExitCode
from batchrun.outcome import Outcome
from batchrun.planning import settled_files
from batchrun.planning.selection import Selection
from batchrun.workflow.open_job import OpenJob, SubmitOptions
from batchrun.workflow.submit import carry_out

pytestmark = pytest.mark.slow

EVERYTHING = 'type = "files"\ninclude = ["docs/**"]\non_empty = "skip"'
MAIL = "From: a@example.com\nTo: b@example.com\nSubject: Terms\n\nSee the terms."


def read_mail(data: bytes, options: formats.ReadOptions) -> Iterator[formats.Found]:
    """Read a mail with an attachment."""
    yield formats.Part(text="mail: " + data.decode())
    yield formats.Attached("terms.txt", b"the terms")


def read_page(data: bytes, options: formats.ReadOptions) -> Iterator[formats.Found]:
    """Read an HTML file."""
    yield formats.Part(text=re.sub("<.*?>", "", data.decode()))


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are old enough as soon as they are written."""
    monkeypatch.setattr(settled_files, "TICK_NS", -(10**18))


WATCHED: list[Path] = []
OPENED: list[str] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if WATCHED and event == "open" and isinstance(args[0], str) and args[0].startswith(str(WATCHED[-1])):
        OPENED.append(Path(args[0]).name)


sys.addaudithook(_hook)


@contextmanager
def opened_files(project: TrialProject) -> Iterator[list[str]]:
    """The names of documents' files that this process opens meanwhile, in whichever way."""
    OPENED.clear()
    WATCHED.append(project.root / "docs")
    try:
        yield OPENED
    finally:
        WATCHED.clear()


def dump(project: TrialProject) -> list[str]:
    """All that the ledger has, but for the counter that every command advances."""
    with closing(sqlite3.connect(project.ledger_path)) as ledger:
        return [line for line in ledger.iterdump() if "'sequence'" not in line]


def submit(project: TrialProject, *answers: str, **options: Any) -> tuple[list[str], list[str]]:
    """Submit. Returns what was sent, sorted, and which files were opened."""
    provider = ScriptedProvider()
    with opened_files(project) as opened:
        project.submit(provider, **options)
        return sorted(provider.sent), sorted(set(opened))


def settled(project: TrialProject, name: str = "a.txt", text: str = "one") -> Path:
    """A job of this one document, which is answered."""
    project.document(name, text)
    assert submit(project) == ([text], [name])
    assert submit(project) == ([], [])
    return project.root / "docs" / name


def test_all_kinds_of_documents_are_settled_and_nothing_is_opened_sent_or_written(project: TrialProject) -> None:
    project.job(source=EVERYTHING)
    docs = project.root / "docs"
    for name in ("answered", "invalid", "rejected", "same", "same too"):
        project.document(f"{name}.txt", name.removesuffix(" too"))
    project.document("empty.txt", " \n")
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (docs / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    (docs / "page.html").write_text("<p>a page</p>")
    (docs / "deeper").mkdir()
    project.document("deeper/one.md", "deeper")
    (docs / "link.txt").symlink_to("answered.txt")
    (docs / "odd \n#name.txt").write_text("odd")
    provider = ScriptedProvider({"invalid": [answer("no JSON")], "rejected": [status(400)]})

    project.submit(provider)

    before, plan = dump(project), project.plan()
    assert dump(project) == before, "a plan writes nothing"
    assert sorted(project.statuses().items()) == [
        ("answered.txt", "succeeded"), ("broken.pdf", "unreadable"), ("deeper/one.md", "succeeded"),
        ("empty.txt", "skipped"), ("invalid.txt", "invalid"), ("link.txt", "succeeded"),
        ("odd \\x0a#name.txt", "succeeded"), ("page.html", "succeeded"), ("picture.png", "unreadable"),
        ("rejected.txt", "rejected"), ("same too.txt", "succeeded"), ("same.txt", "succeeded"),
    ]  # fmt: skip
    again = ScriptedProvider()
    with opened_files(project) as opened:
        summary = project.submit(again)
    assert (again.sent, opened) == ([], [])
    assert dump(project) == before
    assert summary.exit_code is ExitCode.SOME_FAILED
    with opened_files(project) as opened:
        assert project.plan() == plan
    assert opened == []
    assert plan.in_source == plan.documents == 12


def test_the_plan_says_the_same_whether_files_are_opened_or_not(project: TrialProject) -> None:
    project.job(source=EVERYTHING)
    project.documents(5)
    project.document("empty.txt", "")
    (project.root / "docs/broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    project.submit(ScriptedProvider({"text 1": [answer("no JSON")]}))

    quick = project.plan()
    project.ask("delete from read_files", commit=True)

    assert project.plan() == quick


def rewritten(path: Path) -> None:
    path.write_text("other and longer")


def of_the_same_size(path: Path) -> None:
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def at_the_same_time(path: Path) -> None:
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed_over(path: Path) -> None:
    new, before = path.with_name("a.new"), path.stat()
    new.write_text("two")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.rename(path)


@pytest.mark.parametrize("changed", [rewritten, of_the_same_size, at_the_same_time, renamed_over])
def test_a_file_that_changed_in_whatever_way_is_read_and_sent(project: TrialProject, changed: Any) -> None:
    path = settled(project)
    changed(path)

    assert submit(project) == ([path.read_text()], ["a.txt"])
    assert submit(project) == ([], [])


def test_a_touched_file_is_opened_once(project: TrialProject) -> None:
    path = settled(project)
    path.touch()

    assert submit(project) == ([], ["a.txt"])
    assert submit(project) == ([], [])


@pytest.mark.parametrize("narrowed", [{"limit": 1}, {"next": 1}, {"where": "id = 'docs/a.txt'"}])
def test_a_changed_file_that_was_not_chosen_is_still_changed_later(
    project: TrialProject, narrowed: dict[str, Any]
) -> None:
    project.document("a.txt", "a")
    project.document("b.txt", "b")
    assert submit(project)[0] == ["a", "b"]
    project.document("a.txt", "a again")
    project.document("b.txt", "b again")

    assert submit(project, selection=Selection(**narrowed))[0] == ["a again"]
    assert submit(project)[0] == ["b again"]
    assert submit(project) == ([], [])


def test_a_file_that_goes_and_comes_back_has_its_own_answer(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settled(project)
    aside = project.root / "aside.txt"
    path.rename(aside)
    path.write_text("two")
    monkeypatch.setattr(settled_files, "TICK_NS", 10**18)  # the new file is too young to be remembered
    assert submit(project)[0] == ["two"]
    aside.rename(path)

    submit(project)

    assert project.ask("select content_sha from documents") == [(text_sha("one"),)]


@pytest.mark.parametrize("way", ["a", "b"])
def test_ids_by_stem_that_move_between_files(project: TrialProject, way: str) -> None:
    project.job(source='type = "files"\ninclude = ["docs/**"]\nid = "stem"')
    docs = project.root / "docs"
    (docs / "a").mkdir()
    (docs / "b").mkdir()
    (docs / "a/x.txt").write_text("of a")
    assert submit(project)[0] == ["of a"]
    (docs / "a/x.txt").rename(project.root / "x.txt")
    (docs / "b/x.txt").write_text("of a" if way == "a" else "of b")
    assert submit(project)[0] == ([] if way == "a" else ["of b"])
    assert submit(project) == ([], [])
    (docs / "b/x.txt").unlink()
    (project.root / "x.txt").rename(docs / "a/x.txt")

    submit(project)

    assert project.ask("select source, content_sha from documents") == [("docs/a/x.txt", text_sha("of a"))]


def test_a_file_whose_name_looks_like_a_part_of_another(project: TrialProject) -> None:
    project.job(source=EVERYTHING)
    project.document("a.txt", "one")
    project.document("a.txt#b.txt", "two")
    project.document("a.txt#c", "three")
    assert submit(project)[0] == ["one", "three", "two"]
    assert submit(project) == ([], [])
    project.document("a.txt#b.txt", "another")

    assert submit(project) == (["another"], ["a.txt#b.txt"])


def test_young_files_are_remembered_when_they_are_older(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled_files, "TICK_NS", 10**18)
    project.document("a.txt", "one")
    assert submit(project) == (["one"], ["a.txt"])
    before = dump(project)
    assert submit(project) == ([], ["a.txt"])
    assert dump(project) == before

    monkeypatch.setattr(settled_files, "TICK_NS", -(10**18))

    assert submit(project) == ([], ["a.txt"])
    assert submit(project) == ([], [])


def test_a_file_that_cannot_be_opened_now_is_tried_again(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.document("a.txt", "one")
    project.document("b.txt", "two")
    real, denied = os.open, [True]

    def denying(path: Any, *args: Any, **named: Any) -> int:
        if denied and str(path).endswith("a.txt"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **named)

    monkeypatch.setattr(os, "open", denying)
    assert submit(project)[0] == ["two"]
    before = dump(project)
    assert submit(project)[0] == []
    assert dump(project) == before, "nothing is written for a file that is not remembered"
    denied.clear()

    assert submit(project)[0] == ["one"]
    assert submit(project) == ([], [])


@pytest.mark.parametrize(
    ("sections", "sent"),
    [
        ({"prompt": 'user = "Say: {{ doc.text }}"'}, 2),
        ({"model": 'name = "claude-haiku-4-5"\nmax_tokens = 200'}, 0),  # the answers ended by themselves
        ({"model": 'name = "claude-haiku-4-5"\nmax_tokens = 50'}, 2),
        ({"output_fields": 'name = "string"'}, 2),
        ({"source": 'type = "files"\ninclude = ["docs/*.txt"]\nencoding = "utf-8"'}, 0),
        ({"source": 'type = "files"\ninclude = ["docs/*.txt"]\nmax_document_tokens = 1_000'}, 0),
    ],
)
def test_another_job_is_read_again_and_only_what_follows_is_new_work(
    project: TrialProject, sections: dict[str, str], sent: int
) -> None:
    project.document("a.txt", "one")
    project.document("b.txt", "two")
    submit(project)
    project.job(**sections)

    found = submit(project)

    assert (len(found[0]), found[1]) == (sent, ["a.txt", "b.txt"])
    assert submit(project) == ([], [])


def test_keys_that_say_nothing_of_documents_open_nothing(project: TrialProject) -> None:
    settled(project)
    project.job(
        source='type = "files"\ninclude = ["docs/*.txt", "more/*"]\nexclude = ["x"]\ntext_cache = "off"\nformat="auto"',
        budget="max_cost_usd = 2.0",
        run="max_concurrency = 2",
    )

    assert submit(project) == ([], [])


def test_choosing_and_retrying_beside_settled_files(project: TrialProject) -> None:
    project.job(source=EVERYTHING)
    project.documents(4)
    provider = ScriptedProvider({"text 1": [answer("no JSON")], "text 2": [status(400)]})
    project.submit(provider)

    for selection in (Selection(limit=2), Selection(next=2), Selection(where="status = 'succeeded'")):
        assert submit(project, selection=selection) == ([], [])
    assert submit(project, selection=Selection(ids=frozenset({"docs/0000.txt"}))) == ([], ["0000.txt", "0001.txt",
        "0002.txt", "0003.txt"])  # fmt: skip
    assert submit(project) == ([], [])
    assert submit(project, selection=Selection(again=frozenset({Outcome.INVALID})))[0] == ["text 1"]
    assert submit(project) == ([], [])
    assert submit(project, selection=Selection(sources=("docs/*2.txt",), again=frozenset({Outcome.REJECTED})))[0] == [
        "text 2"
    ]
    assert submit(project) == ([], [])
    assert set(project.statuses().values()) == {"succeeded"}


def test_a_part_alone_is_not_taken_for_the_whole_mail(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    newer(monkeypatch, "eml", read_mail)
    project.job(source=EVERYTHING)
    project.document("a.eml", MAIL)
    (part,) = [doc_id for doc_id in planned_ids(project) if "#" in doc_id]
    assert len(submit(project, selection=Selection(ids=frozenset({part})))[0]) == 1

    assert len(submit(project)[0]) == 1, "the mail itself"
    assert submit(project) == ([], [])
    assert len(project.statuses()) == 2


def test_a_retry_of_a_part_does_not_hide_the_others(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    newer(monkeypatch, "eml", read_mail)
    project.job(source=EVERYTHING)
    project.document("a.eml", MAIL)
    provider = ScriptedProvider(default=answer("no JSON"))
    project.submit(provider, Selection(limit=1))
    assert len(provider.sent) == 1

    assert len(submit(project, selection=Selection(again=frozenset({Outcome.INVALID})))[0]) == 1
    assert len(submit(project)[0]) == 1
    assert submit(project) == ([], [])


def planned_ids(project: TrialProject) -> list[str]:
    with project.opened() as opened:
        planner = opened.planner()
        run_async(planner.plan(Selection()))
        return [doc_id for doc_id, *_ in planner.planned.each()]


def test_a_run_that_stopped_reads_what_is_pending_and_no_more(project: TrialProject) -> None:
    project.documents(6)
    project.job(run="max_concurrency = 1")
    project.submit(ScriptedProvider({"text 3": [BAD_KEY]}))
    answered = [name for name, status in project.statuses().items() if status == "succeeded"]
    assert len(answered) == 3

    sent, opened = submit(project)

    assert sent == ["text 3", "text 4", "text 5"]
    assert not set(opened) & set(answered)
    assert submit(project) == ([], [])


def test_identical_documents_and_another_jobs_answers(project: TrialProject) -> None:
    project.document("a.txt", "one")
    project.document("b.txt", "one")
    assert submit(project)[0] == ["one"]
    assert submit(project) == ([], [])
    project.job("other")

    assert submit(project, job="other") == ([], ["a.txt", "b.txt"])
    assert submit(project, job="other") == ([], [])
    assert submit(project) == ([], [])


def newer(monkeypatch: pytest.MonkeyPatch, name: str, read: Any = None) -> None:
    """A reader of a later version, which perhaps finds another text."""
    known = FORMATS[name]
    later = replace(known, revision=known.revision + 1)
    if read:
        later.__dict__["read"] = read
        later.__dict__["isolated"] = False
    monkeypatch.setitem(FORMATS, name, later)


def other_text(data: bytes, options: formats.ReadOptions) -> Iterator[formats.Found]:
    yield formats.Part(text="as a newer reader reads " + data.decode())


def test_a_newer_reader_makes_no_new_work(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    path = settled(project)
    newer(monkeypatch, "text", other_text)
    assert project.plan().older == 1
    assert submit(project) == ([], [])
    path.touch()
    assert submit(project) == ([], ["a.txt"])
    assert project.plan().older == 1
    assert submit(project) == ([], [])
    assert project.plan().older == 1

    path.write_text("new bytes")

    assert submit(project)[0] == ["as a newer reader reads new bytes"]
    assert project.plan().older == 0
    assert submit(project) == ([], [])


def reread(project: TrialProject, **wishes: bool) -> list[str]:
    """Submit with these wishes. Returns what was sent."""
    provider = ScriptedProvider()

    async def main(opened: OpenJob) -> None:
        planner = opened.planner()
        for name, wish in wishes.items():
            setattr(planner, name, wish)
        plan = await planner.plan(Selection())
        await carry_out(opened, planner, plan, caller_of(provider, project.events.append), SubmitOptions())

    with project.opened() as opened:
        run_async(main(opened))
    return provider.sent


def test_documents_of_an_older_reader_are_sent_again_on_demand(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(project)
    newer(monkeypatch, "text", other_text)

    assert reread(project, rescans=True) == []
    assert project.plan().older == 1
    assert reread(project, rereads=True) == ["as a newer reader reads one"]
    assert project.plan().older == 0
    assert submit(project) == ([], [])


def test_a_newer_reader_with_the_same_text_is_noted_when_the_file_is_read(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(project)
    newer(monkeypatch, "text")
    assert project.plan().older == 1

    assert reread(project, rereads=True) == []

    assert project.plan().older == 0


def test_other_bytes_of_the_same_text_are_remembered(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    path = settled(project)
    path.write_bytes(b"\xef\xbb\xbfone")  # the mark of UTF-8 is no text
    assert submit(project) == ([], ["a.txt"])
    assert submit(project) == ([], [])
    newer(monkeypatch, "text", other_text)
    path.touch()

    assert submit(project) == ([], ["a.txt"])


def test_an_answer_that_was_to_be_passed_on_is_passed_on(project: TrialProject) -> None:
    """As a process leaves it that dies after it has collected a batch, and before it has asked the next model."""
    project.job(model=f'name = "{FIRST}"\nmax_tokens = 100\nfallbacks = ["{SECOND}"]')
    project.documents(3)
    provider = models(first={"text 1": [answer("", stop_reason="refusal")]})
    project.submit(provider)
    assert provider.count == {FIRST: 3, SECOND: 1}
    with opened_files(project) as opened:
        assert project.submit(models()).exit_code is ExitCode.OK
    assert opened == []
    project.ask(
        "update documents set request_no = (select request_no from requests where outcome = 'refused')"
        " where doc_id = 'docs/0001.txt'",
        commit=True,
    )
    assert project.statuses()["0001.txt"] == "refused"
    again = models()

    assert project.submit(again).outcomes == {Outcome.SUCCEEDED: 3}
    assert again.asked == []
    assert project.statuses()["0001.txt"] == "succeeded"


PAGE = "<html><body><p>Rent: <b>100</b></p></body></html>"
LETTER = "From: a@example.com\nTo: b@example.com\nSubject: Rent\n\nRent: 100"


@pytest.fixture
def read_as_text(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    """A project whose HTML file and mail an earlier version took as plain text."""
    project.job(source=EVERYTHING)
    project.document("a.html", PAGE)
    project.document("b.eml", LETTER)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "recognise", lambda data, name: "text")
        assert submit(project)[0] == [PAGE, LETTER]
    project.ask(
        "update documents set settings = null, reader = '', bytes_sha = '', place = '', left_out = null", commit=True
    )
    project.ask("delete from read_files", commit=True)
    newer(monkeypatch, "eml", read_mail)
    newer(monkeypatch, "html", read_page)
    return project


@pytest.mark.slow
def test_what_an_earlier_version_read_as_text_is_done_while_its_bytes_are_the_same(read_as_text: TrialProject) -> None:
    plan = read_as_text.plan()
    assert plan.older == 2
    attached = ["the terms"]  # which no earlier version has seen
    assert submit(read_as_text)[0] == attached
    assert submit(read_as_text) == ([], [])
    (read_as_text.root / "docs/a.html").touch()
    assert submit(read_as_text) == ([], ["a.html"])
    assert submit(read_as_text) == ([], [])
    assert read_as_text.plan().older == 2
    read_as_text.document("a.html", PAGE.replace("100", "200"))

    assert submit(read_as_text)[0] == ["Rent: 200"]
    assert submit(read_as_text) == ([], [])
    assert read_as_text.plan().older == 1


@pytest.mark.slow
def test_what_an_earlier_version_read_as_text_is_read_again_on_demand(read_as_text: TrialProject) -> None:
    assert submit(read_as_text)[0] == ["the terms"]

    assert sorted(reread(read_as_text, rereads=True)) == ["Rent: 100", f"mail: {LETTER}"]
    assert read_as_text.plan().older == 0
    assert submit(read_as_text) == ([], [])


@pytest.mark.slow
def test_another_job_takes_nothing_for_done_that_an_earlier_version_read(read_as_text: TrialProject) -> None:
    read_as_text.job(source=EVERYTHING, prompt='user = "Say: {{ doc.text }}"')

    assert "Say: Rent: 100" in submit(read_as_text)[0]


def fails(data: bytes, options: formats.ReadOptions) -> Iterator[formats.Found]:
    raise formats.Unusable("what this version does not know")
    yield


def finds_nothing(data: bytes, options: formats.ReadOptions) -> Iterator[formats.Found]:
    yield formats.Part(text=" ")


@pytest.mark.parametrize("read", [fails, finds_nothing])
def test_what_no_reader_could_read_is_tried_by_a_newer_one(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch, read: Any
) -> None:
    project.document("a.txt", "one")
    with monkeypatch.context() as patch:
        newer(patch, "text", read)
        assert submit(project) == ([], ["a.txt"])
        assert submit(project) == ([], [])
    newer(monkeypatch, "text")
    newer(monkeypatch, "text", other_text)

    assert submit(project) == (["as a newer reader reads one"], ["a.txt"])
    assert submit(project) == ([], [])


LETTER_WITH_TERMS = """From: a@example.com
To: b@example.com
Subject: Terms
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/plain

See what is attached.
--x
Content-Type: text/plain; name="terms.txt"
Content-Disposition: attachment; filename="terms.txt"

The terms are these.
--x
Content-Type: application/pdf; name="broken.pdf"
Content-Disposition: attachment; filename="broken.pdf"

%PDF-1.7 nothing
--x--
"""


@pytest.mark.slow
def test_mail_with_good_and_broken_attachments_is_settled_as_a_whole(project: TrialProject) -> None:
    project.job(source=EVERYTHING)
    project.document("a.eml", LETTER_WITH_TERMS)
    assert len(submit(project)[0]) == 2
    assert sorted(project.statuses().values()) == ["succeeded", "succeeded", "unreadable"]
    before = dump(project)

    assert submit(project) == ([], [])
    assert dump(project) == before
    project.document("a.eml", LETTER_WITH_TERMS.replace("these", "those"))
    (changed,) = submit(project)[0]
    assert "those" in changed
    assert submit(project) == ([], [])
