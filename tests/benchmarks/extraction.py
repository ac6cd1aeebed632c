"""Reading of documents beside the bare libraries, and plans of many files by one process and by two.

    python tests/benchmarks/extraction.py [pdfs] [texts]

Three comparisons: the PDF reader beside pypdfium2 alone (pages a second of one core, and the share of its words that
the reader has), the plan of many PDFs with one child process and with two, and the first plan of many small texts
beside a plan that finds all of them settled. What is worth quoting are the ratios: machines differ and are noisy.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import _paths  # noqa: F401
import pypdfium2
from trial_project import TrialProject

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sample_data"))

from making_office.pdf import Page, text_pdf

from batchrun.cli.interrupts import run_async
from batchrun.documents.formats import FORMATS, ReadOptions
from batchrun.planning.selection import Selection
from batchrun.workers.children import Children
from batchrun.workflow.open_job import SubmitOptions, open_job
from batchrun.workflow.submit import admit

WORDS = [
    "the",
    "party",
    "shall",
    "deliver",
    "goods",
    "within",
    "thirty",
    "days",
    "of",
    "notice",
    "and",
    "payment",
    "is",
    "due",
]
PAGES = 10


def pdf(seed, pages=PAGES):
    """A PDF of full pages of text."""
    draw = random.Random(seed)
    made = []
    for number in range(pages):
        page = Page()
        for line in range(45):
            page.text(50, 60 + 16 * line, f"{number}.{line} " + " ".join(draw.choices(WORDS, k=12)))
        made.append(page)
    return text_pdf(f"contract {seed}", made)


def bare(data):
    document = pypdfium2.PdfDocument(data)
    texts = [page.get_textpage().get_text_range() for page in document]
    document.close()
    return "\n".join(texts)


def ours(data):
    return "\n".join(part.text for part in FORMATS["pdf"].read(data, ReadOptions()))


def timed(read, files):
    begun = time.process_time()
    texts = [read(data) for data in files]
    return texts, time.process_time() - begun


def reader_beside_library(files):
    rounds = [(timed(bare, files), timed(ours, files)) for _ in range(3)]
    (expected, _), (found, _) = rounds[0]
    alone_s, ours_s = (min(both[which][1] for both in rounds) for which in (0, 1))
    wanted = Counter(word for text in expected for word in text.split())
    missing = wanted - Counter(word for text in found for word in text.split())
    pages = PAGES * len(files)
    print(f"PDF reader: {pages / ours_s:,.0f} pages/s of one core, pypdfium2 alone {pages / alone_s:,.0f}", end="")
    print(f" ({ours_s / alone_s:.2f} x its time); recall {1 - missing.total() / wanted.total():.4f}")


def planned_s(project, children):
    """Plan the project's job with so many child processes, and no text kept from before."""
    with open_job(project.root / "jobs" / "trial.toml", simulated=False, to_run=False) as opened:
        planner = opened.planner()
        planner.pool = Children(children)
        planner.__post_init__()
        begun = time.perf_counter()
        plan = run_async(planner.plan(Selection()))
        planner.pool.shutdown()
        return plan, time.perf_counter() - begun


def one_process_beside_two(folder, count):
    project = TrialProject(folder)
    project.job(source='type = "files"\ninclude = ["docs/*.pdf"]\ntext_cache = "off"', budget="max_cost_usd = 9e6")
    for number in range(count):
        (project.root / "docs" / f"{number:05}.pdf").write_bytes(pdf(number))
    (first, one_s), (second, two_s) = planned_s(project, 1), planned_s(project, 2)
    assert first == second
    print(f"plan of {count:,} PDFs of {PAGES} pages: {one_s:.1f} s by one process, {two_s:.1f} s by two", end="")
    print(f" ({two_s / one_s:.2f} x)")


def first_plan_beside_settled(folder, count):
    project = TrialProject(folder)
    project.job(source='type = "files"\ninclude = ["docs/**"]', budget="max_cost_usd = 9e6")
    for number in range(count):
        path = project.root / "docs" / f"{number // 1000:03}" / f"{number:06}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{number} " + " ".join(random.Random(number).choices(WORDS, k=180)))
    time.sleep(0.1)
    begun = time.perf_counter()
    with project.opened() as opened:
        planner = opened.planner(SubmitOptions())
        plan = run_async(planner.plan(Selection()))
        first_s = time.perf_counter() - begun
        admit(opened, planner, plan)
        with opened.ledger.transaction():  # as if everything were answered
            opened.ledger.connection.execute("update requests set outcome = 'succeeded', output = '{}'")
            opened.ledger.connection.execute("update documents set row_request_no = request_no")
    begun = time.perf_counter()
    assert project.plan().to_send == 0
    settled_s = time.perf_counter() - begun
    print(f"plan of {count:,} texts: {first_s:.1f} s the first time, {settled_s:.1f} s when all are settled", end="")
    print(f" ({settled_s / first_s:.2f} x)")


def main(pdfs=500, texts=100_000):
    reader_beside_library([pdf(seed) for seed in range(40)])
    with tempfile.TemporaryDirectory() as temporary:
        one_process_beside_two(Path(temporary) / "pdfs", pdfs)
        first_plan_beside_settled(Path(temporary) / "texts", texts)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
