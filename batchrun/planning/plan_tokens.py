"""How many tokens a plan's documents have: counted or guessed, one by one and added up."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from batchrun.budget.caps import Amount
from batchrun.document import DocumentRef
from batchrun.estimation.estimate import ENDLESS, RequestTokens
from batchrun.estimation.estimate_sum import Group
from batchrun.estimation.native_tokens import layer_tokens, pdf_tokens
from batchrun.estimation.sampling import DocumentSize, Ratio
from batchrun.estimation.text_class import TextClass
from batchrun.planning.plan_rows import Filled
from batchrun.strategy.plan import Kind


class Which(Enum):
    """Which of the chosen documents are added up."""

    TO_SEND = "to send"
    AWAITED = "to send, or in an open batch"
    STILL_PENDING = "to send, admitted by now, and without an outcome"


CHOSEN = {
    Which.TO_SEND: "to_send",
    Which.AWAITED: f"(select * from to_send union all select * from planned where chosen and kind = '{Kind.IN_BATCH}')",
    Which.STILL_PENDING: """(
        select p.* from to_send p join documents d on d.job = :job and d.doc_id = p.doc_id
        join requests r using (request_no) where d.outcome is null and r.outcome is null)""",
}


@dataclass(frozen=True, slots=True)
class PlannedDocument:
    """A document of the plan that is read again."""

    planned_no: int
    ref: DocumentRef
    content_sha: str
    max_tokens: int | None


@dataclass(frozen=True, slots=True)
class PlannedPdf:
    """A PDF to send, whether its text or the file."""

    pages: int
    tokens: RequestTokens

    @property
    def as_file(self) -> RequestTokens:
        """The tokens if the file is sent as it is."""
        if self.tokens.text_class.is_native:
            return self.tokens
        return RequestTokens(pdf_tokens(self.tokens.counted, self.pages), TextClass.PAGES)

    @property
    def as_text(self) -> RequestTokens | None:
        """The tokens if the text is sent. Returns None for a file without text."""
        if not self.tokens.text_class.is_native:
            return self.tokens
        layer = layer_tokens(self.tokens.counted, self.pages)
        return RequestTokens(layer, TextClass.PROSE) if layer else None


ANY = object()
"""Stands for whatever documents are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """Some of the documents of a plan: those that meet every condition."""

    which: Which = Which.TO_SEND
    first: int = -1
    """How many documents count, in the order of the source, before the conditions that follow. -1 stands for all."""
    choices: object = ANY
    """The choice of fields that the documents are asked for. None stands for all fields."""
    least: Mapping[TextClass, int] = field(default_factory=lambda: dict.fromkeys(TextClass, 0))
    """The least cl100k tokens of a document, by class."""


TO_SEND = Subset()
"""All documents to send."""


class PlannedTokens:
    """The columns of tokens in the temporary table of a plan; see `PlannedDocuments`."""

    def __init__(self, connection: sqlite3.Connection, job: str, used: Filled) -> None:
        self._connection = connection
        self._used = used
        self._job = job
        self._choices: dict[tuple[Which, int], list[str | None]] = {}
        """The choices that were found last, and the number of changes until then."""

    def uncounted_bytes(self) -> dict[TextClass, tuple[int, int, float]]:
        """Count the documents to send that were not counted yet, and add up their bytes and squared bytes, by class."""
        rows = self._connection.execute(
            "select text_class, count(*), sum(bytes), sum(1.0 * bytes * bytes) from to_send"
            " where counted_tokens is null group by text_class"
        )
        return {TextClass(kind): (count, total, squares) for kind, count, total, squares in rows}

    def uncounted(self) -> Iterator[tuple[int, int]]:
        """Yield the documents to send that were not counted yet, as number and bytes, by class and size."""
        return self._connection.execute(
            "select planned_no, bytes from to_send where counted_tokens is null order by text_class, bytes, planned_no"
        )

    def sizes(self, numbers: Iterable[int]) -> dict[int, DocumentSize]:
        """Look up the sizes of some documents, by number."""
        rows = self._connection.execute(
            "select planned_no, bytes, text_class from planned where planned_no in (select value from json_each(?))",
            (json.dumps(list(numbers)),),
        )
        return {planned_no: DocumentSize(size, TextClass(kind)) for planned_no, size, kind in rows}

    def by_tokens(self) -> Iterator[tuple[int, int]]:
        """Yield all documents to send, as number and cl100k tokens, by class and tokens."""
        return self._connection.execute(
            "select planned_no, counted_tokens from to_send order by text_class, counted_tokens, planned_no"
        )

    def documents(self, numbers: Iterable[int]) -> list[PlannedDocument]:
        """Read some of the plan's documents, in the order of the plan."""
        rows = self._connection.execute(
            "select planned_no, doc_id, source, place, content_sha, max_tokens from planned"
            " where planned_no in (select value from json_each(?)) order by planned_no",
            (json.dumps(list(numbers)),),
        )
        return [PlannedDocument(row[0], DocumentRef(*row[1:4]), row[4], row[5]) for row in rows]

    def set_counted(self, planned_no: int, tokens: RequestTokens, worst: Amount) -> None:
        """Record how many tokens a document has, and the worst case that follows."""
        self._connection.execute(
            "update planned set counted_tokens = ?, guessed = 0, worst_nusd = ?, worst_tokens = ? where planned_no = ?",
            (tokens.counted, worst.nusd, worst.tokens, planned_no),
        )

    def guess(self, found: Mapping[TextClass, Ratio]) -> None:
        """Guess the tokens of documents that are not counted, from their sizes."""
        names = {kind: f":{kind.name}" for kind in found}
        self._connection.execute(
            f"update planned set guessed = 1, counted_tokens = round(bytes * {_by_class(names)})"
            " where counted_tokens is null and bytes is not null",
            {kind.name: ratio.mean for kind, ratio in found.items()},
        )

    def choices(self, which: Which = Which.TO_SEND) -> list[str | None]:
        """List the different choices of fields that documents are asked for; None stands for all fields."""
        key = which, self._connection.total_changes
        if key not in self._choices:
            self._choices = {key: self._found_choices(which)}
        return self._choices[key]

    def _found_choices(self, which: Which) -> list[str | None]:
        # Two questions: to the first row without a choice, and to the rows with one.
        without = f"select null where exists (select 1 from {CHOSEN[which]} where choices is null)"
        some = self._used.some("choices")
        different = f"select distinct choices from {CHOSEN[which]} where {some} order by 1"
        rows = self._connection.execute(f"{without} union all select * from ({different})", {"job": self._job})
        return [choices for (choices,) in rows]

    def turns(self) -> int:
        """Return the most requests that ask about one of the documents to send, one after the other."""
        return max((len(json.loads(choices)) for choices in self.choices() if choices), default=1)

    def partly(self) -> list[tuple[str, int]]:
        """Count the documents to send that are asked for some fields alone, because of earlier answers, by choice."""
        return self._connection.execute(
            "select choices, count(*) from to_send where kind = ? and partial is not null and choices is not null"
            " group by 1 order by 1",
            (Kind.CHANGED,),
        ).fetchall()

    def groups(self, below: Mapping[TextClass, int], subset: Subset = TO_SEND) -> list[Group]:
        """Add up by class the documents that have fewer tokens than their class's bound."""
        rows = self._connection.execute(
            "select text_class, count(*), sum(counted_tokens), sum(1.0 * counted_tokens * counted_tokens)"
            f" from {_compared(subset, '<', below)} group by text_class order by text_class",
            self._filled(subset),
        )
        return [Group(TextClass(kind), requests, counted, squares) for kind, requests, counted, squares in rows]

    def longer(self, bounds: Mapping[TextClass, int], subset: Subset = TO_SEND) -> Iterator[RequestTokens]:
        """Yield the documents that have at least as many tokens as their class's bound."""
        query = f"select counted_tokens, text_class, guessed from {_compared(subset, '>=', bounds)}"
        rows = self._connection.execute(query, self._filled(subset)) if min(bounds.values()) < ENDLESS else ()
        return (RequestTokens(counted, TextClass(kind), bool(guessed)) for counted, kind, guessed in rows)

    def _filled(self, subset: Subset) -> dict[str, object]:
        filled: dict[str, object] = {"job": self._job, "first": subset.first}
        return filled if subset.choices is ANY else filled | {"choices": subset.choices}

    def pdfs(self) -> Iterator[PlannedPdf]:
        """Yield the PDFs to send."""
        some = self._used.some("reader", "like 'pdf/%'")
        rows = self._connection.execute(
            "select coalesce(pages, 0), counted_tokens, text_class from to_send"
            f" where {some} and counted_tokens is not null"
        )
        return (PlannedPdf(pages, RequestTokens(counted, TextClass(kind))) for pages, counted, kind in rows)


def _compared(subset: Subset, comparison: Literal["<", ">="], bounds: Mapping[TextClass, int]) -> str:
    """Return the rows of a subset whose tokens compare like this with their class's bound, as words of a query."""
    columns = "counted_tokens, text_class, guessed, choices"
    first = "" if subset.first < 0 else " order by planned_no limit :first"
    least = f" and counted_tokens >= {_by_class(subset.least)}" if any(subset.least.values()) else ""
    asked = "" if subset.choices is ANY else " and choices is :choices"
    return (
        f"(select {columns} from {CHOSEN[subset.which]}{first})"
        f" where counted_tokens {comparison} {_by_class(bounds)}{least}{asked}"
    )


def _by_class(numbers: Mapping[TextClass, object]) -> str:
    """Return the number of a row's class of text, as words of a query."""
    cases = " ".join(f"when '{kind}' then {number}" for kind, number in numbers.items())
    return f"case text_class {cases} end"
