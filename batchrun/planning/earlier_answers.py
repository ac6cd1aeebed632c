"""What is answered already of documents whose request is new: earlier answers under the same prompt, field by field.

A field keeps its answer while the job asks for the field in the same words. A job file that asks for one more field, or
describes one field in other words, asks for that field alone. For a job with votes, an answer without votes to all of
the fields is the first vote; every other answer is left, because votes are votes on all fields.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from batchrun.answers.findings import Findings
from batchrun.answers.form import AnswerForm
from batchrun.answers.progress import BEGINNING, Progress
from batchrun.answers.turns import choices, turn_again
from batchrun.answers.votes import Vote
from batchrun.outcome import Outcome
from batchrun.planning.ledger_lookups import KnownDocument
from batchrun.planning.plan_rows import Asks
from batchrun.store.ledger.forms import form_under
from batchrun.store.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Known:
    """An earlier answer to another request about the same text."""

    request_id: str
    values: Mapping[str, Any]
    """The values that are kept."""
    findings: Findings
    """What was found out about these values."""


@dataclass(kw_only=True)
class EarlierAnswers:
    """The answers of one job that its new requests may keep."""

    ledger: Ledger
    form: AnswerForm
    prompt_sha: str
    _forms: dict[int, AnswerForm | None] = field(default_factory=dict)

    def kept(self, documents: Iterable[KnownDocument]) -> dict[str, Known]:
        """Find what is kept of the answers that documents have, by the id of the answered request."""
        forms = {
            one.request_id: form
            for one in documents
            if one.request_id and one.outcome is Outcome.SUCCEEDED and (form := self._form(one.form_no))
        }
        if not forms:
            return {}
        rows: Iterable[tuple[str, str, str | None]] = self.ledger.connection.execute(
            "select request_id, output, findings from requests where output is not null"
            " and request_id in (select value from json_each(?))",
            (json.dumps(list(forms)),),
        )
        return {
            request_id: _known(request_id, output, findings, self.form.unchanged(forms[request_id]))
            for request_id, output, findings in rows
        }

    @cached_property
    def from_the_start(self) -> Asks:
        """What a request asks of which nothing is answered."""
        return asks_of(self.form, BEGINNING)

    def _form(self, form_no: int | None) -> AnswerForm | None:
        """Return an earlier form under the same prompt; None for the form of today, and for any other form."""
        if form_no is None:
            return None
        if form_no not in self._forms:
            form = form_under(self.ledger, form_no, prompt_sha=self.prompt_sha)
            self._forms[form_no] = form if form and self._keeps(form) else None
        return self._forms[form_no]

    def _keeps(self, earlier: AnswerForm) -> bool:
        """Whether anything is kept of answers to an earlier form."""
        unchanged = self.form.unchanged(earlier)
        if self.form.votes > 1:
            return earlier.votes == 1 and unchanged == self.form.fields
        is_other = earlier.api_schema != self.form.api_schema or earlier.votes > 1
        return is_other and bool(unchanged)


def _known(request_id: str, output: str, findings: str | None, fields: Iterable[str]) -> Known:
    answered, names, found = json.loads(output), frozenset(fields), Findings.of(findings)
    return Known(request_id, {name: answered[name] for name in names & answered.keys()}, found.about(names))


def asks_of(form: AnswerForm, progress: Progress) -> Asks:
    """Return what a request asks of which this much is answered."""
    turn = Progress(turn_again(form, progress))
    asked = choices(form, progress.values, progress.votes)
    return Asks(turn.turn_json, progress.partial_json, json.dumps(asked) if asked else None)


def asks_beyond(form: AnswerForm, known: Known) -> Asks:
    """Return what a request asks beyond what is kept of an earlier answer: maybe nothing at all."""
    found, missing = replace(known.findings, attempts=0, repairs=0), form.missing(known.values)
    if form.votes > 1:
        return asks_of(form, BEGINNING if missing else Progress(votes=(Vote(known.values, found),)))
    if missing:
        return asks_of(form, Progress(values=known.values, findings=found))
    answer = {name: known.values[name] for name in form.fields}
    return Asks(answer=json.dumps(answer), findings=known.findings.as_json, answered_by=known.request_id)
