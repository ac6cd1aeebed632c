"""A run in progress: one bar on a terminal, a line a minute elsewhere, JSON lines for programs."""

import contextlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, assert_never

from tqdm import tqdm

from batchrun.catalog.money import dollars
from batchrun.cli.views.batch_text import BatchEvent, batch_as_json, batch_words
from batchrun.cli.views.format import count, duration, iso, key_fields
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control, shown_path
from batchrun.events import (
    AttemptEnded,
    AttemptFailed,
    BatchCollected,
    BatchEnded,
    BatchesOpen,
    BatchSubmitted,
    BatchTrouble,
    DocumentSettled,
    Draining,
    Event,
    OutageBegan,
    OutageEnded,
    Paused,
    PublishDelayed,
    RunStarted,
    Tick,
    UsageDoubted,
    Waiting,
)

if TYPE_CHECKING:
    from batchrun.outcome import Outcome

LINE_EVERY_S = 60.0
JSON_EVERY_S = 1.0
LONG_PAUSE_S = 10.0
SHOWN_OF_A_KIND = 20
BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {elapsed}<{remaining}{postfix}"
BATCH_BAR = BAR.replace("<{remaining}", "")
"""The bar of a batch has no remaining time: nothing is known of a batch until the batch has ended."""
TICK_S = 0.5
"""How often a bar is drawn anew while nothing happens."""
PHASES = {"reading": "reading documents", "counting": "counting tokens", "asking": "asking the API for counts"} | {
    name: f"waiting for {name} to read the first documents" for name in ("ray", "dask")
}
"""What a person reads of the phases of planning."""


class Progress:
    """The listener that counts and shows the events of a run. `mode` is auto, bar, lines or none."""

    def __init__(self, terminal: Terminal, mode: str) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        self._cost_nusd = 0
        self._started: RunStarted | None = None
        self._terminal = terminal
        self._mode = chosen_mode(terminal, mode)
        self._bar: tqdm[Any] | None = None
        self._over = threading.Event()
        self._ticker: threading.Thread | None = None
        self.limit = ""
        """The limit that is used most, such as `input 93%`; empty if no limit is known."""
        self._shown: Counter[str] = Counter()
        self._last_line = time.monotonic()
        self._last_json = 0.0
        self._has_shown_waiting = False

    def planning(self, phase: str, documents: int) -> None:
        """Show on a terminal, until `close`, what goes on before the run."""
        words = PHASES.get(phase, phase) + (f": {documents:,}" if documents else "")
        if self._bar is not None:
            self._bar.desc = words  # which the ticker shows
        elif self._mode == "bar":
            with self._watched():
                self._draw(desc=words, bar_format="{desc}  {elapsed}", leave=False)

    def __call__(self, event: Event) -> None:
        """Count one event, and show the event if a person wants to see it."""
        with self._watched():
            self._show(event)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Go on without being watched if the terminal of the bar has gone."""
        try:
            yield
        except OSError:
            self._bar, self._mode = None, "none"
            self._over.set()

    def _show(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._begin(event)
            case DocumentSettled():
                self._settled(event)
            case AttemptFailed():
                self._failed(event)
            case AttemptEnded():
                pass  # for the log
            case Paused() | Waiting() | OutageBegan() | OutageEnded() | Draining():
                self._interruption(event)
            case BatchSubmitted() | BatchEnded() | BatchCollected() | BatchTrouble() | BatchesOpen():
                self._batch(event)
            case Tick():
                self._show_line()
            case UsageDoubted():
                tokens = event.usage
                self._event("usage_doubted", input_tokens=tokens.prompt_tokens, output_tokens=tokens.output_tokens)
                self.write(usage_doubted(event))
            case PublishDelayed():
                self.write(f"rows are safe in the ledger and follow later: {escape_control(event.why)}")
            case _:
                assert_never(event)

    def close(self) -> None:
        """Leave the bar as the bar is, on a line of its own."""
        self._over.set()
        if self._ticker:
            self._ticker.join()
        if self._bar is not None:
            with self._watched():
                self._bar.close()
        self._bar = self._ticker = None

    def write(self, text: str) -> None:
        """Write a line beside the bar."""
        if self._terminal.quiet > 1 or self._terminal.json:
            return
        if self._bar is not None:
            tqdm.write(text, file=sys.stderr)
        elif self._mode == "lines":
            self._info(text.strip())
        else:
            self._terminal.say(text)

    # --- what is shown

    def _batch(self, event: BatchEvent) -> None:
        if self._terminal.quiet and not isinstance(event, BatchTrouble):
            return
        name, fields = batch_as_json(event)
        self._event(name, **fields)
        if isinstance(event, BatchesOpen):
            self._waiting(event)
        elif not isinstance(event, BatchCollected) or event.again or event.odd or self._terminal.verbose:
            self.write(f"  {batch_words(event)}")

    def _waiting(self, event: BatchesOpen) -> None:
        """Show the wait in full once, later only in the bar."""
        if not self._has_shown_waiting or (self._terminal.verbose and self._bar is None):
            self.write(f"  {batch_words(event)}")
            self._has_shown_waiting = True
        if self._bar is not None:
            wait = f"{event.batches} open, poll in {duration(event.next_s)}" if event.batches else "waiting for room"
            self._bar.set_postfix_str(f"{self._postfix()} · {wait}")

    def _begin(self, event: RunStarted) -> None:
        self.close()  # the bar of the pilot
        self._outcomes.clear()
        self._started, self._cost_nusd = event, event.spent_nusd
        self._event("run_start", job=event.job, model=event.model, documents=event.to_send, resumed=event.resumed,
                    route=event.route, budget_usd=event.cap_nusd / 1e9,
                    deadline=iso(event.deadline_at) or None)  # fmt: skip
        if self._mode == "lines":
            self._info(
                f"run={event.run_id} start job={event.job} docs={event.to_send}"
                f" budget={dollars(event.cap_nusd)[1:]}{' resumed' if event.resumed else ''}"
            )
        if self._mode == "bar":
            is_batch = event.route == "batch"
            first = "" if is_batch else "waiting for the first answer"
            self._draw(total=event.to_send, desc=event.job, bar_format=BATCH_BAR if is_batch else BAR, postfix=first)

    def _draw(self, **options: Any) -> None:
        """Draw a bar, and again every half a second, whether anything happens or not."""
        self._bar, self._over = tqdm(dynamic_ncols=True, file=sys.stderr, **options), threading.Event()
        self._ticker = threading.Thread(target=tick, args=(self._bar, self._over), daemon=True)
        self._ticker.start()

    def _failed(self, event: AttemptFailed) -> None:
        if self._terminal.verbose > 1:
            again = "" if event.retry_in_s is None else f", again in {event.retry_in_s:.1f} s"
            self.write(f"  retry     {shown_path(event.doc_id)}   {event.cause}{again}")

    def _settled(self, event: DocumentSettled) -> None:
        self._outcomes[event.outcome] += 1
        self._cost_nusd += event.cost_nusd
        if event.outcome.failed:
            self._show_problem(event)
        elif self._terminal.verbose:
            self.write(f"  {event.outcome:<9} {shown_path(event.doc_id)}   {dollars(event.cost_nusd)}")
        if event.outcome.failed or self._terminal.verbose:
            self._event("document", **key_fields(event.doc_id), status=event.outcome, reason=event.reason,
                        cost_usd=event.cost_nusd / 1e9)  # fmt: skip
        if self._bar is not None:
            self._bar.total = self._total
            self._bar.set_postfix_str(self._postfix(), refresh=False)
            self._bar.update()
        self._show_line()

    def _show_problem(self, event: DocumentSettled) -> None:
        self._shown[event.outcome] += 1
        if self._shown[event.outcome] <= SHOWN_OF_A_KIND:
            self.write(f"  {event.outcome:<9} {shown_path(event.doc_id)}   {escape_control(event.reason or '')}")
        elif self._shown[event.outcome] == SHOWN_OF_A_KIND + 1:
            self.write(f"  more documents are {event.outcome}; they are counted, not listed")

    def _pause(self, event: Paused) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._postfix()} · waiting {duration(event.seconds)} ({event.cause})")
        elif self._terminal.verbose or event.seconds >= LONG_PAUSE_S:
            self.write(f"waiting {duration(event.seconds)} ({event.cause})")

    def _interruption(self, event: Paused | Waiting | OutageBegan | OutageEnded | Draining) -> None:
        match event:
            case Paused():
                self._pause(event)
            case Waiting():
                self._event("waiting", why=event.why)
                self.write(f"{escape_control(event.why)}; waiting")
            case OutageBegan():
                self._event("outage_began", model=event.model, cause=event.cause)
                self.write(f"  outage    {event.model} answers nobody ({event.cause}); asking now and then")
            case OutageEnded():
                self._event("outage_ended", model=event.model, seconds=round(event.seconds, 1))
                self.write(f"  outage    {event.model} answers again, after {duration(event.seconds)}")
            case Draining():
                self._event("stopping", in_flight=event.in_flight, within_s=event.within_s, why=event.cause)
                self.write(
                    f"stopping: {count(event.in_flight, 'request')} in flight, waiting up to {event.within_s:.0f} s"
                    " (Ctrl-C again to drop them)"
                )

    def _event(self, name: str, **fields: object) -> None:
        if self._terminal.json:
            self._terminal.event(name, run=self._run_id, **fields)

    def _info(self, text: str) -> None:
        self._terminal.say(f"{iso(time.time())} info  {text}")

    def _show_line(self) -> None:
        clock, total = time.monotonic(), self._total
        counts = {str(outcome): number for outcome, number in self._outcomes.items()}
        if self._terminal.json and clock - self._last_json >= JSON_EVERY_S:
            self._last_json = clock
            self._event("progress", done=self._outcomes.total(), total=total, cost_usd=self._cost_nusd / 1e9, **counts)
        if self._mode == "lines" and clock - self._last_line >= LINE_EVERY_S:
            self._last_line = clock
            words = " ".join(f"{outcome}={number}" for outcome, number in counts.items())
            self._info(
                f"run={self._run_id} progress done={self._outcomes.total()}/{total} {words}"
                f" usd={dollars(self._cost_nusd)[1:]}"
            )

    @property
    def _total(self) -> int:
        """The requests to send, or the documents that are settled if they are more: some share a request."""
        return max(self._started.to_send if self._started else 0, self._outcomes.total())

    @property
    def _run_id(self) -> str:
        return self._started.run_id if self._started else ""

    def _postfix(self) -> str:
        cap = f"/{dollars(self._started.cap_nusd)}" if self._started else ""
        failed = " ".join(f"{number} {outcome}" for outcome, number in self._outcomes.items() if outcome.failed)
        return " · ".join(filter(None, [f"{dollars(self._cost_nusd)}{cap}", failed, self.limit]))


def tick(bar: "tqdm[Any]", over: threading.Event) -> None:
    """Draw a bar anew every half a second, until `over` is set."""
    with contextlib.suppress(OSError):  # the terminal has gone, as the next event will find out
        while not over.wait(TICK_S):
            bar.refresh()


def chosen_mode(terminal: Terminal, mode: str) -> str:
    """The mode in force. `auto` means a bar if stderr is a terminal, else lines; --json and -q mean none."""
    if terminal.json or terminal.quiet or mode == "none":
        return "none"
    if mode != "auto":
        return mode
    return "bar" if sys.stderr.isatty() else "lines"


def usage_doubted(event: UsageDoubted) -> str:
    """Say that usage is not believed, and what that means for the money."""
    return (
        f"an answer of {event.model} reports {count(event.usage.prompt_tokens, 'input token')} and"
        f" {event.usage.output_tokens:,} of output, more than its request allows: such usage counts as not"
        " told, and the worst case stays reserved (said once)"
    )
