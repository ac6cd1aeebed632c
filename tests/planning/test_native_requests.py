"""Planning of files that are sent as they are: their size, what is too large, and what the plan says of their price."""

import json
import re
from collections.abc import Callable

import pytest
from command_line import CommandLine
from native_samples import LINE, agreement, locked, page_of, pdf, png, scan
from trial_project import TrialProject

from batchrun.document import Document
from batchrun.documents.bounds import MAX_BYTES
from batchrun.estimation.native_tokens import PAGE_IMAGE_TOKENS
from batchrun.estimation.text_class import TextClass
from batchrun.planning import request_builder
from batchrun.planning.request_builder import Built
from batchrun.strategy.plan import Kind, Plan
from batchrun.workflow.open_job import open_job

pytestmark = pytest.mark.slow

Shown = Callable[..., str]
CUTS = ('on_oversize = "truncate"', "max_document_tokens = 2_000")


def source(pdf: str, *more: str) -> str:
    return "\n".join(['type = "files"', 'include = ["docs/*"]', f'pdf = "{pdf}"', 'on_unreadable = "skip"', *more])


def put(project: TrialProject, **files: bytes) -> None:
    for name, data in files.items():
        (project.root / "docs" / name.replace("_", ".")).write_bytes(data)


def planned(project: TrialProject, pdf: str, *more: str, model: str = "claude-sonnet-5-5") -> Plan:
    project.job(source=source(pdf, *more), model=f'name = "{model}"\nmax_tokens = 100')
    return project.plan()


def built_of(project: TrialProject, *more: str) -> list[Built]:
    with open_job(project.job(source=source("native", *more)), simulated=False, to_run=False) as opened:
        planner = opened.planner()
        documents = [one for shard in planner.source.shards() for one in planner.source.read_shard(shard)]
        return [planner.builder.build(one) for one in documents if isinstance(one, Document)]


def test_pages_and_pixels_are_the_size_and_not_the_text(project: TrialProject) -> None:
    put(project, a_pdf=scan(3), b_png=png(1000, 1000))

    found = built_of(project)

    assert [(one.tokens.counted, one.tokens.text_class) for one in found] == [
        (3 * PAGE_IMAGE_TOKENS, TextClass.PAGES),
        (1_296, TextClass.IMAGE),
    ]
    assert [one.size.bytes for one in found] == [len(scan(3)), len(png(1000, 1000))]


def test_text_that_is_of_no_use_counts_too(project: TrialProject) -> None:
    put(project, a_pdf=pdf([page_of(*[LINE] * 40), b"", b""]))

    (found,) = built_of(project)

    assert found.text == ""
    assert found.tokens.counted > 3 * PAGE_IMAGE_TOKENS + 500


def test_no_file_is_cut(project: TrialProject) -> None:
    put(project, a_pdf=agreement(2))

    (whole,), (built,) = built_of(project), built_of(project, *CUTS)

    assert built.request == whole.request
    assert built.tokens == whole.tokens


@pytest.mark.parametrize(("pdf", "sent"), [("text", 1), ("auto", 3), ("native", 3)])
def test_what_is_sent(project: TrialProject, pdf: str, sent: int) -> None:
    put(project, a_pdf=agreement(2), b_pdf=scan(), c_png=png(10, 10))

    plan = planned(project, pdf)

    assert plan.counts[Kind.NEW] == sent
    assert plan.counts[Kind.UNREADABLE] == 3 - sent


def test_another_choice_makes_only_other_requests_new(project: TrialProject) -> None:
    put(project, a_pdf=agreement(2), b_pdf=scan())

    digests = {pdf: planned(project, pdf).digest for pdf in ("text", "auto", "native")}

    assert len(set(digests.values())) == 3
    (project.root / "docs" / "b.pdf").unlink()
    assert planned(project, "text").digest == planned(project, "auto").digest


@pytest.mark.parametrize(
    ("model", "most"), [("claude-sonnet-5-5", 600), ("claude-haiku-4-5", 100)], ids=["large window", "small window"]
)
def test_too_many_pages(project: TrialProject, model: str, most: int) -> None:
    put(project, a_pdf=scan(most + 1), b_pdf=scan(1))

    plan = planned(project, "native", 'on_oversize = "skip"', model=model)

    assert (plan.counts[Kind.TOO_LARGE], plan.counts[Kind.NEW]) == (1, 1)
    (problem,) = plan.problems
    assert problem.reason.startswith(f"{most + 1} pages, and a request may have {most} as they are; split it, or send")
    put(project, a_pdf=scan(most // 10))
    assert planned(project, "native", model=model).counts[Kind.NEW] == 2


def test_a_body_that_is_too_large(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    put(project, a_pdf=scan())
    monkeypatch.setattr(request_builder, "MAX_BYTES", 1_000)

    plan = planned(project, "native", 'on_oversize = "skip"')

    assert plan.counts[Kind.TOO_LARGE] == 1
    assert "more than the 32 MB that a request may have" in plan.problems[0].reason
    assert MAX_BYTES == 32_000_000


def test_a_file_that_would_have_to_be_cut_is_left_out(project: TrialProject) -> None:
    put(project, a_pdf=agreement(2))

    plan = planned(project, "native", *CUTS)

    assert plan.counts[Kind.TOO_LARGE] == 1
    assert "tokens, above source.max_document_tokens of 2,000" in plan.problems[0].reason


def test_files_are_counted_and_never_guessed(project: TrialProject) -> None:
    put(project, **{f"a{number}_pdf": agreement(1, title=f"Title {number}") for number in range(5)})

    plan = planned(project, "native")

    assert plan.evidence.guessed == 0
    assert plan.estimate.documents == 5
    assert plan.worst_tokens > 3 * PAGE_IMAGE_TOKENS


# --- both prices


def test_the_plan_prices_pdfs_either_way(project: TrialProject) -> None:
    put(project, a_pdf=agreement(10), b_pdf=agreement(2), t_txt=b"a text")

    text, native = planned(project, "text").pdf, planned(project, "native").pdf

    assert text is not None
    assert native is not None
    assert (text.files, text.pages, text.textless) == (native.files, native.pages, native.textless) == (2, 12, 0)
    assert text.native_nusd == pytest.approx(native.native_nusd, rel=0.01)
    assert text.as_text_nusd == pytest.approx(native.as_text_nusd, rel=0.01)
    assert 2 < text.native_nusd / text.as_text_nusd < 9


@pytest.mark.parametrize("pdf", ["text", "native"])
@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-haiku-5-5"], ids=["one band", "long prompts cost more"])
def test_the_price_is_that_of_the_plan(project: TrialProject, pdf: str, model: str) -> None:
    put(project, a_pdf=agreement(80), b_pdf=agreement(2))

    plan = planned(project, pdf, model=model)

    assert plan.pdf is not None
    own = plan.pdf.as_text_nusd if pdf == "text" else plan.pdf.native_nusd
    assert own == pytest.approx(plan.estimate.cost_nusd.mean)


def test_no_pdf_no_price(project: TrialProject) -> None:
    put(project, a_png=png(5, 5), b_txt=b"text")

    assert planned(project, "native").pdf is None


@pytest.fixture
def shown(project: TrialProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shown:
    monkeypatch.chdir(project.root)
    return lambda *options: CommandLine(capsys)("plan jobs/trial.toml --simulate", *options).out


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (
            {"a_pdf": agreement(3), "b_pdf": agreement(1, title="B")},
            r"pdf      4 pages in 2 files: as text \$[\d.]+, native",
        ),
        (
            {"a_pdf": agreement(3), "b_pdf": scan()},
            r"pdf      4 pages in 2 files: as text \$[\d.]+ without the 1 scan, native",
        ),
        (
            {"b_pdf": scan()},
            r"pdf      1 page in 1 file: as text not at all, native",
        ),
    ],
)
def test_the_line_of_the_plan(project: TrialProject, shown: Shown, files: dict[str, bytes], line: str) -> None:
    put(project, **files)
    project.job(source=source("auto"))

    lines = shown().splitlines()
    (found,) = [one for one in lines if one.startswith("pdf ")]

    assert re.fullmatch(line + r' \$[\d.]+ \(\[source\] pdf = "auto"\)', found)
    assert lines[lines.index(found) + 1].startswith("budget "), "behind the routes, whose prices are of another kind"


def test_the_plan_for_programs(project: TrialProject, shown: Shown) -> None:
    put(project, a_pdf=agreement(3), b_pdf=scan(), c_pdf=locked())
    project.job(source=source("native"))

    found = json.loads(shown("--json"))

    assert found["documents"]["unreadable"] == 1
    assert found["pdf"].keys() == {"files", "pages", "without_text", "as_text_usd", "native_usd"}
    assert (found["pdf"]["files"], found["pdf"]["pages"], found["pdf"]["without_text"]) == (2, 4, 1)
    assert 0 < found["pdf"]["as_text_usd"] < found["pdf"]["native_usd"]


def test_each_document_is_shown_with_its_tokens(project: TrialProject, shown: Shown) -> None:
    put(project, a_pdf=scan(), b_txt=b"one two")
    project.job(source=source("native"))

    output = shown("-v")

    assert "docs/a.pdf   1,575 tokens as it is" in output
    assert "docs/b.txt   2 tokens of cl100k" in output
