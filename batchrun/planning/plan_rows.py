"""A row of a plan: its columns, the temporary table that has the rows, and rows as columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.strategy.plan import Kind

SENT = ", ".join(f"'{kind}'" for kind in Kind if kind.sent)
TABLE = f"""
create temp table planned (
    planned_no     integer primary key,
    doc_id         text not null,
    source         text not null,
    place          text not null,
    content_sha    text not null,
    kind           text not null,
    reason         text,
    outcome        text,            -- skipped or unreadable, if it is not sent
    known_outcome  text,            -- the outcome that it had before
    request_id     text,
    model          text,
    max_tokens     integer,         -- of the request, if it is not the job's
    asks_for       integer,         -- the max_tokens of the request
    bytes          integer,         -- of its text, if it can be sent
    counted_tokens integer,         -- null until it is counted or guessed
    guessed        integer not null default 0,
    text_class     text,
    worst_nusd     integer,
    worst_tokens   integer,
    same_text      integer not null default 0,
    asked          text,            -- JSON: its request to each model of a chain, and the model; null for one model
    note           text,
    pages          integer,
    reader         text not null default '',
    bytes_sha      text not null default '',
    older          integer not null default 0,
    whole          text,            -- the id of the whole document, if it is a part
    source_columns text,            -- JSON; null if they stay as the ledger has them
    markup         real not null default 0,
    turn           text,            -- JSON: what the first attempt asks; null for the request as it is
    partial        text,            -- JSON: what is answered already
    choices        text,            -- JSON: the fields that each turn asks for; null for all of them in one
    answer         text,            -- JSON: the answer that follows from the one to another request; null without one
    findings       text,            -- JSON: what was found out about that answer
    answered_by    text,            -- that request
    paid           text,            -- the one of them that has a row in the output, unknown to the ledger
    chosen         integer not null default 1
);
create index planned_paid on planned (paid) where paid is not null;
create temp view planned_status as
select planned_no, doc_id, doc_id as id, source, kind, coalesce(outcome, known_outcome, 'pending') as status, reason,
    counted_tokens as tokens
from planned;
create temp view to_send as select * from planned where chosen and kind in ({SENT});
"""
INDEXES = """
create unique index planned_id on planned (doc_id);
create index planned_request on planned (request_id);
create index planned_whole on planned (whole) where whole is not null;
"""
"""Made when all rows are there: to keep an index in order takes twice as long as to add rows."""
RARE = {"choices", "note"}
"""The columns with an index of the rows that have anything in the column, if some row has."""


class Filled(set[str]):
    """The columns that have anything but their default in some row of the plan."""

    def some(self, column: str, condition: str = "is not null") -> str:
        """Return a condition on a column for a query, which looks through no rows if none can meet the condition."""
        return f"{column} {condition}" if column in self else "false"


class Asks(NamedTuple):
    """What a request asks of its document."""

    turn: str | None = None
    """JSON: what the first attempt asks. None for the request as it is."""
    partial: str | None = None
    """JSON: what is answered already."""
    choices: str | None = None
    """JSON: the fields that each turn asks for. None for all of them in one."""
    answer: str | None = None
    """JSON: the answer that follows from the answer to another request. None without one."""
    findings: str | None = None
    """JSON: what was found out about that answer, as far as its fields are still asked for."""
    answered_by: str | None = None
    """The id of that request."""


class Planned(NamedTuple):
    """One row of the plan."""

    planned_no: int
    """The place of the document in the plan: rows may be added in any order."""
    doc_id: str
    source: str
    place: str
    content_sha: str
    kind: Kind
    reason: str | None = None
    outcome: Outcome | None = None
    known_outcome: Outcome | None = None
    request_id: str | None = None
    model: str | None = None
    max_tokens: int | None = None
    """The `max_tokens` of the request; None if it is the job's."""
    asks_for: int | None = None
    """The `max_tokens` of the request to `model`."""
    bytes: int | None = None
    counted_tokens: int | None = None
    """The cl100k tokens of the document; None if they are not counted."""
    guessed: bool = False
    text_class: TextClass | None = None
    """The class of the document's text; None if the document cannot be sent."""
    worst_nusd: int | None = None
    worst_tokens: int | None = None
    same_text: bool = False
    asked: str | None = None
    """JSON: the document's requests to the models of a chain, by id, with their models. None without a chain."""
    note: str | None = None
    pages: int | None = None
    reader: str = ""
    bytes_sha: str = ""
    older: bool = False
    """Whether the document keeps the request of an older reader's text."""
    whole: str | None = None
    """The id of the whole document, if this one is a part."""
    source_columns: str | None = None
    """JSON: the columns of the source that the output gets. None if they stay as the ledger has them."""
    markup: float = 0.0
    """The share of the text that is markup or base64."""
    asks: Asks = Asks()
    """What the request asks; these columns come last."""


COLUMNS = (*Planned._fields[:-1], *Asks._fields)
DEFAULTS: Mapping[str, object] = {**Planned._field_defaults, **Asks._field_defaults}
"""What the columns have that are left out; a column that is not here has null."""
PlanColumns = Mapping[str, Sequence[object]]
"""Rows of the plan, as a sequence of values for each column. A column that is left out has its default."""


def columns_of(rows: Iterable[Planned]) -> PlanColumns:
    """Return rows as columns."""
    columns = zip(*((*columns, *asks) for *columns, asks in rows), strict=True)
    return dict(zip(COLUMNS, columns, strict=False))
