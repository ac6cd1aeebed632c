"""A project in a temporary folder: documents, one job file, and what a submit made of them."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
from scripted_provider import ScriptedProvider

from batchrun.cli.interrupts import halting_on_signals, run_async
from batchrun.errors import BatchrunError
from batchrun.events import DocumentSettled, Event, Listener, RunStarted
from batchrun.execution.run import Caller
from batchrun.planning.selection import Selection
from batchrun.store.output.publish import Output
from batchrun.strategy.plan import Plan
from batchrun.workflow.open_job import OpenJob, OpenStore, open_job
from batchrun.workflow.submit import submit
from batchrun.workflow.summary import Summary

SECTIONS = {
    "source": 'type = "files"\ninclude = ["docs/*.txt"]',
    "model": 'name = "claude-haiku-4-5"\nmax_tokens = 100',
    "prompt": 'user = "{{ doc.text }}"',
    "output": "max_repairs = 0",
    "output.fields": 'title = "string"',
    "run": "max_concurrency = 4",
    "limits": (
        "requests_per_minute = 600_000\ninput_tokens_per_minute = 900_000_000\noutput_tokens_per_minute = 900_000_000"
    ),
    "budget": "max_cost_usd = 1.0",
    "retry": 'max_attempts = 3\ninitial_delay = "0.001s"\nmax_delay = "0.002s"',
    "store": 'database = "results/out.duckdb"',
}
"""A job file by section; tests replace what they are about. Without mending, every answer is one reply."""


def caller_of(provider: Any, listener: Listener) -> Caller:
    """A caller as the command line is one: signals interrupt its runs."""
    return Caller(provider=provider, listener=listener, interrupts=halting_on_signals)


class Unpublished(Output):
    """Nobody looks at the rows."""

    def __init__(self) -> None:
        """It needs neither ledger nor table."""

    def check(self) -> None:
        pass

    def head(self) -> int:
        return 0

    def publish(self, *, wait_s: float) -> int:
        return 0

    @contextlib.contextmanager
    def stored_rows(self, *, wait_s: float) -> Iterator[None]:
        yield None

    def close(self) -> None:
        pass


class TrialProject:
    """The project's folder, with ways to fill it, run it and look at what came of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger_path = root / ".batchrun" / "ledger.sqlite3"
        self.database = root / "results" / "out.duckdb"
        self.events: list[Event] = []
        self.plans: list[Plan] = []
        (root / ".git").mkdir(parents=True)
        (root / "docs").mkdir()

    # --- given

    def document(self, name: str, text: str) -> None:
        """Write or change a document."""
        (self.root / "docs" / name).write_text(text, encoding="utf-8")

    def documents(self, count: int) -> list[str]:
        """Write so many documents; returns their texts."""
        texts = [f"text {number}" for number in range(count)]
        for number, text in enumerate(texts):
            self.document(f"{number:04}.txt", text)
        return texts

    def job(self, name: str = "trial", *, file: str | None = None, **sections: str) -> Path:
        """Write the job file, with other sections where given (`output_fields` for `[output.fields]`)."""
        chosen = SECTIONS | {key.replace("_", "."): text for key, text in sections.items()}
        body = "\n".join(f"[{key}]\n{text}\n" for key, text in chosen.items())
        path = self.root / "jobs" / f"{file or name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'version = 1\n[job]\nname = "{name}"\n{body}')
        return path

    # --- when

    @contextlib.contextmanager
    def opened(self, job: str = "trial") -> Iterator[OpenJob]:
        """The job, open for running."""
        with open_job(self.root / "jobs" / f"{job}.toml", simulated=False, to_run=True) as opened:
            yield opened

    def submit(
        self, provider: ScriptedProvider, selection: Selection | None = None, *, job: str = "trial", **options: Any
    ) -> Summary:
        """Run the job to the end: plan, send, publish."""
        with self.opened(job) as opened:
            caller = caller_of(provider, self.events.append)
            return run_async(submit(opened, selection or Selection(), caller, show=self.plans.append, **options))

    def plan(self, selection: Selection | None = None, *, job: str = "trial") -> Plan:
        """Plan only."""
        with open_job(self.root / "jobs" / f"{job}.toml", simulated=False, to_run=False) as opened:
            return run_async(opened.planner().plan(selection or Selection()))

    def execute(
        self,
        provider: ScriptedProvider,
        *,
        job: str = "trial",
        before_sending: Callable[[OpenJob], None] = lambda _: None,
    ) -> BatchrunError | None:
        """Submit without an output, which is faster. Returns why it halted."""

        def listener(event: Event) -> None:
            self.events.append(event)
            if isinstance(event, RunStarted):
                before_sending(opened)

        with (
            mock.patch.object(OpenJob, "output", return_value=Unpublished()),
            mock.patch.object(OpenStore, "output", return_value=Unpublished()),
            self.opened(job) as opened,
        ):
            caller = caller_of(provider, listener)
            return run_async(submit(opened, Selection(), caller, show=self.plans.append)).halted

    # --- then

    @property
    def settled(self) -> list[str]:
        """The documents that the listener was told of, with their outcomes, sorted."""
        return sorted(
            f"{event.doc_id.removeprefix('docs/')} {event.outcome}"
            for event in self.events
            if isinstance(event, DocumentSettled)
        )

    def statuses(self, job: str = "trial") -> dict[str, str]:
        """Each document's status by its name, as the ledger has it."""
        rows = self.ask("select doc_id, status from document_status where job = ? order by doc_id", job)
        return {doc_id.removeprefix("docs/"): status for doc_id, status in rows}

    def ask(self, query: str, *values: object, commit: bool = False) -> list[Any]:
        """Ask the ledger, or change it as another process would."""
        with contextlib.closing(sqlite3.connect(self.ledger_path)) as connection:
            found = connection.execute(query, values).fetchall()
            if commit:
                connection.commit()
            return found

    def rows(self, query: str = "select doc_id from trial order by doc_id") -> list[Any]:
        """Ask the output."""
        with contextlib.closing(duckdb.connect(str(self.database), read_only=True)) as connection:
            return connection.execute(query).fetchall()
