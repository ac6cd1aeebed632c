"""What the pages of the documentation take for granted: what happens before their commands, and how these end."""

import contextlib
import csv
import re
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from command_line import REPOSITORY, CommandLine

from batchrun.errors import ExitCode

LOAN = "sample_data/contracts/loan-ferrow-bank.txt"
Prepare = Callable[[CommandLine], object]
"""Brings the folder into the state in which a reader would type a command."""


def nothing(_: CommandLine) -> None:
    """Leave the folder as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a page takes for granted, and what it tells of its commands beside their output."""

    begins: str = "samples"
    """`samples`: the sample jobs and documents. `submitted`: the job contracts has run."""
    prepare: Prepare = nothing
    before: Mapping[str, Prepare] = field(default_factory=dict)
    """What happens before a line of the page."""
    codes: Mapping[str, int] = field(default_factory=dict)
    """The exit codes of lines that do not exit with 0."""
    names: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    """What a reader writes in place of the names of a page."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Lines that are not run here: each with the test that runs the line, or the reason."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """Blocks without a command, by their first line: each with the test that holds the block, or the reason."""


def change(path: str, pattern: str, text: str) -> None:
    """Change a file of the folder. A pattern that is nowhere is an error."""
    before = Path(path).read_text("utf-8")
    Path(path).write_text(after := re.sub(pattern, text, before), "utf-8")
    assert after != before


def submits(arguments: str) -> Prepare:
    """A command that succeeds."""

    def submit(batchrun: CommandLine) -> None:
        ran = batchrun(f"submit -q {arguments}")
        assert ran.code == ExitCode.OK, ran.words

    return submit


def toml_of(page: str, table: str) -> str:
    """The block of TOML of a page that begins with a table."""
    text = (REPOSITORY / "batchrun" / "docs" / f"{page}.md").read_text("utf-8")
    (block,) = re.findall(rf"^```toml\n({re.escape(table)}\n.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(block)


def appends(path: str, page: str, table: str) -> Prepare:
    """A block of a page is written behind a job file."""

    def append(_: CommandLine) -> None:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write("\n" + toml_of(page, table))

    return append


def in_order(*steps: Prepare) -> Prepare:
    """One thing after the other."""

    def prepare(batchrun: CommandLine) -> None:
        for step in steps:
            step(batchrun)

    return prepare


def changed_prompt(_: CommandLine) -> None:
    """The prompt of the sample job has changed."""
    change("jobs/contracts.toml", "You extract", "You carefully extract")


def other_answers(batchrun: CommandLine) -> None:
    """The prompt has changed and the model answers otherwise, which the simulator does when documents say otherwise."""
    changed_prompt(batchrun)
    for path in sorted(Path("sample_data/contracts").glob("[a-l]*.txt")):
        path.write_bytes(path.read_bytes().replace(b"2026", b"2025").replace(b"England and Wales", b"Scotland"))


def kept_plan(batchrun: CommandLine) -> None:
    """A plan was kept, and the prompt has changed since."""
    assert batchrun("plan -q jobs/contracts.toml -o plan.json").code == ExitCode.OK
    changed_prompt(batchrun)


def too_few_tokens(_: CommandLine) -> None:
    """Replies of the sample job may have 60 tokens only."""
    change("jobs/contracts.toml", r"(?m)^max_tokens = .*", "max_tokens = 60")


def as_it_was(_: CommandLine) -> None:
    """The sample job is as it was."""
    shutil.copy(REPOSITORY / "jobs" / "contracts.toml", "jobs/contracts.toml")


def another_field(_: CommandLine) -> None:
    """A field is added to the sample job."""
    change("jobs/contracts.toml", r"(?m)^\[output\.fields\].*", r'\g<0>\nlaw = "string?"')


def labelled(batchrun: CommandLine) -> None:
    """A person has labelled all documents of the simulated run: most labels are the answers, and seven are others."""
    others = {
        "party_a": "Roe Steel Holding",
        "governing_law": "Ireland",
        "term_months": "7",
        "contract_type": "license",
    }
    assert batchrun("results contracts --simulate -o labels.csv").code == ExitCode.OK
    with Path("labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [{key: row[key] for key in (next(iter(row)), *others)} for row in csv.DictReader(file)]
    for row, (name, value) in zip(rows[::3], (list(others.items()) * 2)[:7], strict=False):
        row[name] = value
    with Path("labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    change("jobs/contracts.toml", r"(?m)^\[run\]", '[gold]\npath = "labels.csv"\n\n[run]')


def settings_to_try(_: CommandLine) -> None:
    """The job tickets says what a tune may try, without prompts in files."""
    with Path("jobs/tickets.toml").open("a", encoding="utf-8") as file:
        file.write(
            "\n" + re.sub("target = .*", "target = 0.90", re.sub("(?m)^prompts .*\n", "", toml_of("quality", "[tune]")))
        )


def looks_often(_: CommandLine) -> None:
    """The job asks after its batches every moment."""
    change("jobs/contracts.toml", r"(?m)^\[batch\].*", r'\g<0>\npoll_interval = "10ms"')


def two_jobs(batchrun: CommandLine) -> None:
    """Two jobs ask for the same fields."""
    for name in ("cheap", "strong"):
        shutil.copy("jobs/contracts.toml", f"jobs/{name}.toml")
        change(f"jobs/{name}.toml", 'name = "contracts"', f'name = "{name}"')
        submits(f"jobs/{name}.toml --limit 2")(batchrun)


def altered_ledger(_: CommandLine) -> None:
    """Somebody has changed what the attempt for a document cost."""
    with contextlib.closing(sqlite3.connect(".batchrun/ledger.sqlite3")) as ledger, ledger:
        changed = ledger.execute("update attempts set cost_nusd = 1 where doc_id = ?", [LOAN]).rowcount
        assert changed == 1


def first_run() -> str:
    """The id of the first run in the ledger."""
    with contextlib.closing(sqlite3.connect(".batchrun/ledger.sqlite3")) as ledger:
        return str(ledger.execute("select run_id from runs order by run_no").fetchone()[0])


def own_documents(_: CommandLine) -> None:
    """A folder of one's own with two texts: the page about the first own job has other formats."""
    Path("letters").mkdir()
    for name in ("mietvertrag-lindenhof.txt", "nda-helios-meridian.txt"):
        shutil.copy(REPOSITORY / "sample_data" / "contracts" / name, "letters")


SETS_UP = "it sets up an environment; `.ci/run` and whoever clones the repository do"
KEY_FILE = "tests/test_own_folder.py"
BENCHES = "tests/cli/commands/test_bench_command.py, with benchmarks of three documents"
LEASES = "tests/leases/test_lease_commands.py"
PROVES = "tests/cli/commands/test_prove_command.py, with fewer kills"
PYTHON_OUTPUTS = (
    "plan       letters (simulated)",
    "run        sim-4302 of letters (simulated)",
    "run        letters: nothing to send (simulated)",
    "['doc_id', 'place', 'year', 'simulated'] [VARCHAR, VARCHAR, BIGINT, BOOLEAN]",
    "2 [2, 2]",
    "letter-3 succeeded",
    "documents: document 1 (letter-1): text is missing.",
)
CRON = "* * * * . /srv/contracts/key.env && /usr/local/bin/batchrun -q submit /srv/contracts/jobs/contracts.toml"
SCENES: Mapping[str, Scene] = {
    "README": Scene(
        prepare=own_documents,
        names={"cd ~/office && ": lambda: ""},
        elsewhere={
            "pip install uv && uv run batchrun submit jobs/contracts.toml --simulate": SETS_UP,
            "pip install uv && uv run pytest": SETS_UP,
            "uv tool install .": SETS_UP,
            "export ANTHROPIC_API_KEY=…": "the key is in the environment of the tests",
        },
    ),
    "answers": Scene(begins="submitted", prepare=another_field),
    "batches": Scene(
        prepare=looks_often,
        names={"msgbatch_01Hk": lambda: "msgbatch_none"},
        codes={
            "batchrun batches contracts --adopt msgbatch_01Hk": ExitCode.USAGE,
            "batchrun batches contracts --resend": ExitCode.USAGE,
            "batchrun batches contracts --resend --pay-again": ExitCode.USAGE,
        },
    ),
    "bench": Scene(elsewhere={
        "batchrun bench kleister-nda --simulate": BENCHES,
        "batchrun bench kleister-nda": BENCHES,
        "batchrun bench kleister-nda --max-cost 5": BENCHES,
        "batchrun bench kleister-nda --max-cost 1 --limit 20": BENCHES,
        "batchrun bench ExtractBench --max-cost 40 --route batch": BENCHES,
    }),
    "cli": Scene(),
    "budgets": Scene(elsewhere={
        "export BATCHRUN_LEASES_TOKEN=…": LEASES,
        "batchrun leases serve --host 10.0.0.5": LEASES,
        "batchrun leases": LEASES,
    }),
    "contributing": Scene(elsewhere={
        'pip install uv && uv run pytest -m "not slow"': SETS_UP,
        ".ci/run": SETS_UP,
    }),
    "estimate": Scene(
        before={
            "batchrun submit jobs/contracts.toml": too_few_tokens,
            "batchrun plan jobs/contracts.toml -o plan.json": as_it_was,
            "batchrun cost contracts --by run --simulate": in_order(
                submits("jobs/contracts.toml --simulate --speed 1000 --limit 12"),
                submits("jobs/contracts.toml --simulate --speed 100000 --route batch"),
            ),
        },
        codes={"batchrun submit jobs/contracts.toml": ExitCode.REFUSED},
    ),
    "failures": Scene(begins="submitted", names={"--doc ID": lambda: f"--doc {LOAN}"}),
    "first-job": Scene(),
    "job-file": Scene(shown={"error: unknown key `nmae` in [model]": "tests/test_readme.py"}),
    "json": Scene(elsewhere={
        "batchrun submit jobs/contracts.toml --json | jq -r 'select(.event == \"run_end\") | .cost_usd'":
            "tests/cli/test_json_contract.py holds every event",
    }),
    "pilot": Scene(),
    "privacy": Scene(begins="submitted"),
    "prompt-cache": Scene(begins="submitted"),
    "proof": Scene(
        elsewhere={"batchrun prove": PROVES, "batchrun prove --kills 12000 --seed 13": PROVES},
        shown={"batchrun 0.1.0 · Python 3.11.7 · Linux-6.18.44-fc-v657-x86_64-with-glibc2.36 · 2 cores":
               "a record of half an hour; its form is held by tests/cli/commands/test_prove_command.py"},
    ),
    "providers": Scene(),
    "python": Scene(shown=dict.fromkeys(PYTHON_OUTPUTS, "tests/api/test_python_page.py")),
    "quality": Scene(
        begins="submitted",
        prepare=in_order(submits("jobs/contracts.toml --simulate --speed 1000"), two_jobs),
        before={
            "batchrun eval contracts --simulate": labelled,
            "batchrun compare 436d last": in_order(other_answers, submits("jobs/contracts.toml")),
            "batchrun review contracts --status": appends("jobs/contracts.toml", "quality", "[review]"),
            "batchrun check jobs/contracts.toml --simulate": appends("jobs/contracts.toml", "quality", "[[check]]"),
            "batchrun tune jobs/tickets.toml --simulate": settings_to_try,
        },
        codes={"batchrun check jobs/contracts.toml --simulate": ExitCode.SOME_FAILED},
        names={"436d": first_run},
        elsewhere={
            "batchrun review contracts": "tests/cli/commands/test_review_command.py: it asks a person",
            "batchrun review contracts --import reviews.json": "tests/cli/commands/test_review_command.py",
        },
    ),
    "recipes": Scene(begins="submitted", prepare=kept_plan, names={"436d": first_run}),
    "report": Scene(
        begins="submitted",
        elsewhere={"batchrun report last --open": "it opens a browser"},
    ),
    "results": Scene(shown={"docs/nda.txt  succeeded  $0.0003": "tests/cli/commands/test_results_provenance.py"}),
    "speed": Scene(shown={
        "at most 2.0% of the documents taken from claude-haiku-5-5 differ from claude-sonnet-5-5, with 95% confidence":
            "tests/workflow/test_submit_calibrated.py",
    }),
    "trust": Scene(
        begins="submitted",
        before={"batchrun verify": altered_ledger},
        codes={"batchrun verify": ExitCode.ENVIRONMENT},
    ),
    "unattended": Scene(
        elsewhere={
            "(umask 077 && printf 'export ANTHROPIC_API_KEY=%s\\n' \"$ANTHROPIC_API_KEY\" > /srv/contracts/key.env)":
                KEY_FILE,
            "pip install 'batchrun-documents[otel]'": SETS_UP,
        },
        shown={
            "MAILTO=you@example.com": KEY_FILE,
            f"*/30 {CRON} --no-wait": KEY_FILE,
            "<!-- batchrun plan contracts -->": "tests/integrations/test_unattended.py",
            'docker run --rm --env-file key.env -v "$PWD:/work" batchrun submit jobs/contracts.toml':
                "there is no docker here; tests/integrations/test_unattended.py goes through the steps of the image",
        },
    ),
}  # fmt: skip
"""Every page that shows a command or an output."""
