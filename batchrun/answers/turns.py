"""The turns in which a request is answered: one as a rule, and more for mending, further fields, long lists and votes.

A turn is asked by one attempt, or by several if attempts fail. The ledger keeps the `Progress` between two turns: a
process that dies repeats at most the turn that was in flight.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchrun.answers.findings import Findings
from batchrun.answers.form import AnswerForm, PageRule
from batchrun.answers.progress import Progress, Turn
from batchrun.answers.validation import Judge, Judgement
from batchrun.answers.votes import Vote, has_failed, is_settled, majority
from batchrun.outcome import Outcome
from batchrun.reply import Reply

MOST_PAGES = 200
"""From so many replies to a request on, no further page of a list is asked for: each is paid, however few entries it
has, and a model that never calls a list complete would be asked for ever."""
LAST_SHOWN = 500
"""How many characters of the last entry of a page are repeated to the model."""
MOST_PROBLEMS = 20
"""How many problems of a reply are told to the model."""
REPAIR = """This answer cannot be used:
{problems}
Give the whole answer again in the same form, with these problems mended. Leave everything else as it was, and take \
every value from the document."""
NEXT_PAGE = """Your answer so far has entries 1 to {last:,} of `{name}`. The last one was {entry}. \
Go on with entry {following:,}: give the next {size:,} entries that the document has behind that one, or fewer if \
there are no more, and say in `{complete}` whether the list is complete now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """How far a reply without a row is mended."""

    max_repairs: int
    """The most replies that are shown with their problems; 0 switches mending off."""
    most_tokens: int
    """The most that the model can write."""
    passed_on: frozenset[str] = frozenset()
    """The outcomes that another model mends."""


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from a reply: an outcome of the request, or the next turn."""

    progress: Progress
    outcome: Outcome | None
    """None if another turn is asked."""
    output: dict[str, Any] | None = None
    reason: str | None = None
    """Why the reply is no row."""


class Judges:
    """The judges of a form, one for each choice of fields that a turn asks for."""

    def __init__(self, form: AnswerForm) -> None:
        self.form = form
        self._judges: dict[tuple[str, ...], Judge] = {}

    def judge(self, reply: Reply, turn: Turn) -> Judgement:
        """Judge the reply to a turn."""
        if turn.fields not in self._judges:
            self._judges[turn.fields] = Judge(self.form.only(turn.fields) if turn.fields else self.form)
        return self._judges[turn.fields].judge(reply)


def first_turn(form: AnswerForm, values: Mapping[str, Any]) -> Turn:
    """Return the turn that asks first, if these values are answered already."""
    missing = form.missing(values)
    return Turn() if missing == form.fields else Turn(fields=missing)


def turn_again(form: AnswerForm, progress: Progress) -> Turn:
    """Return the turn that asks once more behind a turn that failed: a list that has begun goes on where it stands."""
    if progress.turn.goes_on:
        return replace(progress.turn, repairs=0, said=progress.turn.goes_on, max_tokens=None)
    return first_turn(form, progress.values)


def choices(form: AnswerForm, values: Mapping[str, Any], votes: Sequence[Vote] = ()) -> tuple[tuple[str, ...], ...]:
    """Return the fields that each turn asks for, if these values and votes are answered already.

    A vote counts that is asked whatever the others say. Returns an empty tuple for one turn with the whole form.
    """
    answered = sum(vote.output is not None for vote in votes)
    found = [*_turns_of_vote(form, values), *_turns_of_vote(form, {}) * (form.least_votes - answered - 1)]
    return () if found == [form.fields] else tuple(found)


def _turns_of_vote(form: AnswerForm, values: Mapping[str, Any]) -> list[tuple[str, ...]]:
    answered, found = dict(values), list[tuple[str, ...]]()
    while missing := form.missing(answered):
        found.append(missing)
        answered |= dict.fromkeys(missing)
    return found


def shares_document(form: AnswerForm, progress: Progress) -> bool:
    """Whether several turns ask about the document: more than one is due, or a reply to one is there already."""
    return progress.replies > 0 or len(choices(form, progress.values, progress.votes)) > 1


def next_step(
    form: AnswerForm, progress: Progress, judgement: Judgement, *, attempt_no: int, max_tokens: int, mending: Mending
) -> Step:
    """Decide what follows from the reply to a turn; `max_tokens` are those of the reply's request."""
    step = _step_of_vote(form, progress, judgement, attempt_no=attempt_no, max_tokens=max_tokens, mending=mending)
    return step if step.outcome is None or form.votes == 1 else _voted(form, step)


def _voted(form: AnswerForm, step: Step) -> Step:
    """Decide what follows from a vote that is over: the outcome of the request, or the first turn of the next vote."""
    progress = step.progress
    votes = (*progress.votes, Vote(step.output, progress.findings))
    if has_failed(votes, form.votes):
        return replace(step, progress=_without_failed(progress))
    if is_settled(form.fields, votes, form.votes):
        output, findings = majority(form.fields, votes)
        return Step(Progress(findings=findings), Outcome.SUCCEEDED, output, reason=step.reason)
    return Step(Progress(first_turn(form, {}), votes=votes), None, reason=step.reason)


def _without_failed(progress: Progress) -> Progress:
    """Forget that votes have failed, but not their replies: a retry goes on with the last one of these votes."""
    failed = [vote.findings for vote in progress.votes if vote.output is None]
    found = progress.findings
    replies, repairs = (sum(getattr(one, name) for one in (found, *failed)) for name in ("attempts", "repairs"))
    answered = tuple(vote for vote in progress.votes if vote.output is not None)
    return replace(progress, findings=replace(found, attempts=replies, repairs=repairs), votes=answered)


def _step_of_vote(
    form: AnswerForm, progress: Progress, judgement: Judgement, *, attempt_no: int, max_tokens: int, mending: Mending
) -> Step:
    judgement = _without_repeats(progress, judgement)
    progress = replace(progress, findings=_found(progress, judgement))
    if judgement.outcome is not Outcome.SUCCEEDED or judgement.output is None:
        turn = _mended(progress.turn, judgement, attempt_no=attempt_no, max_tokens=max_tokens, mending=mending)
        outcome = judgement.outcome if turn is None else None
        return Step(replace(progress, turn=turn or progress.turn), outcome, reason=judgement.reason)
    return _answered(form, progress, judgement.output, attempt_no)


def _found(progress: Progress, judgement: Judgement) -> Findings:
    """Add to the findings what a reply has brought."""
    found = progress.findings
    counted = replace(found, attempts=found.attempts + 1, repairs=found.repairs + (progress.turn.repairs > 0))
    if judgement.outcome is not Outcome.SUCCEEDED:
        return counted
    evidence = dict(found.evidence)
    for name, told in judgement.evidence.items():
        earlier = evidence.get(name) if name in progress.turn.fields and isinstance(told, list) else None
        evidence[name] = [*earlier, *told] if isinstance(earlier, list) else told
    return replace(
        counted,
        problems={**found.problems, **{one.field or one.path: one.said for one in judgement.problems}},
        originals={**found.originals, **{_path(progress, path): was for path, was in judgement.originals.items()}},
        evidence=evidence,
    )


def _without_repeats(progress: Progress, judgement: Judgement) -> Judgement:
    """Take the entries out of a page that is the page before once more."""
    if not progress.turn.goes_on or judgement.output is None:
        return judgement
    (name,) = progress.turn.fields
    page = judgement.output[name] or []
    is_repeated = progress.values[name][-len(page) :] == page and any(entry != page[0] for entry in page)
    if not is_repeated:
        return judgement
    evidence = {other: told for other, told in judgement.evidence.items() if other != name}
    return replace(judgement, output={**judgement.output, name: []}, evidence=evidence)


def _path(progress: Progress, path: str) -> str:
    """Return the path of a value in the whole answer; entries of a page are counted from the first page on."""
    name = progress.turn.fields[0] if progress.turn.goes_on else ""
    if not name or not path.startswith(f"{name}["):
        return path
    number, _, inside = path.removeprefix(f"{name}[").partition("]")
    return f"{name}[{len(progress.values[name]) + int(number)}]{inside}"


def _mended(turn: Turn, judgement: Judgement, *, attempt_no: int, max_tokens: int, mending: Mending) -> Turn | None:
    """Return the turn that mends a reply without a row, or None if nothing more is tried."""
    if not mending.max_repairs or judgement.outcome in mending.passed_on:
        return None
    if judgement.outcome is Outcome.INVALID and turn.repairs < mending.max_repairs:
        said = "\n\n".join(filter(None, [REPAIR.format(problems=_listed(judgement)), turn.goes_on]))
        return replace(turn, repairs=turn.repairs + 1, shows=attempt_no, said=said)
    twice = min(2 * max_tokens, mending.most_tokens)
    if judgement.outcome is Outcome.TRUNCATED and judgement.too_few_tokens and turn.max_tokens is None:
        return replace(turn, max_tokens=twice) if twice > max_tokens else None
    return None


def _listed(judgement: Judgement) -> str:
    """List what is wrong with a reply, for the model."""
    said = [problem.said for problem in judgement.problems] or [judgement.reason or ""]
    return "\n".join(f"- {one}" for one in said[:MOST_PROBLEMS])


def _answered(form: AnswerForm, progress: Progress, output: Mapping[str, Any], attempt_no: int) -> Step:
    pages = {name: _joined(progress, name, output[name]) for name in form.pages if name in output}
    answered = {name: value for name, value in output.items() if name in form.fields}
    values = {**progress.values, **answered, **pages}
    ended = [
        name
        for name in pages
        if not _grew(progress, name, values)
        or _is_complete(form.pages[name], output, values, name)
        or progress.findings.attempts >= MOST_PAGES
    ]
    progress = replace(progress, values=values, findings=_doubted(form, progress.findings, output, values, ended))
    waiting = {*progress.turn.lists, *pages} - {*ended}
    if going_on := [name for name in form.pages if name in waiting]:
        name, *lists = going_on
        turn = _next_page(name, form.pages[name], values[name], attempt_no)
        # Where one page was cut short, the next page would be too.
        turn = replace(turn, lists=tuple(lists), max_tokens=progress.turn.max_tokens)
        return Step(replace(progress, turn=turn), None)
    if missing := form.missing(values):
        return Step(replace(progress, turn=Turn(fields=missing)), None)
    whole = {name: value for name, value in values.items() if name in form.fields}
    return Step(replace(progress, turn=Turn(), values={}), Outcome.SUCCEEDED, whole)


def _joined(progress: Progress, name: str, page: list[Any] | None) -> list[Any] | None:
    """Add a page to the entries so far. A page that is null for a problem leaves nothing of the list."""
    earlier: list[Any] | None = progress.values.get(name)
    if not earlier or (page is None and name in progress.findings.problems):
        return page
    return [*earlier, *(page or [])]


def _grew(progress: Progress, name: str, values: Mapping[str, Any]) -> bool:
    return len(values[name] or ()) > len(progress.values.get(name) or ())


def _is_complete(rule: PageRule, output: Mapping[str, Any], values: Mapping[str, Any], name: str) -> bool:
    """Return whether a list is complete: the model says so, or a count agrees."""
    count, entries = values.get(rule.count or ""), len(values[name] or ())
    return bool(output.get(rule.complete)) or (isinstance(count, int) and entries >= count)


def _doubted(
    form: AnswerForm, found: Findings, output: Mapping[str, Any], values: Mapping[str, Any], ended: Iterable[str]
) -> Findings:
    """Add to the findings which of the lists that have ended may have too few entries, or too many."""
    doubts = {name: _doubt(form.pages[name], output, values, name) for name in ended if values[name] is not None}
    problems = {name: f"{name}: {doubt}" for name, doubt in doubts.items() if doubt}
    return replace(found, problems={**problems, **found.problems})


def _doubt(rule: PageRule, output: Mapping[str, Any], values: Mapping[str, Any], name: str) -> str | None:
    count, entries = values.get(rule.count or ""), len(values[name])
    came = "1 entry came" if entries == 1 else f"{entries:,} entries came"
    if isinstance(count, int):
        return f"{came}, and `{rule.count}` says {count:,}" if entries != count else None
    return None if output.get(rule.complete) else f"{came}, and the list was not called complete"


def _next_page(name: str, rule: PageRule, entries: list[Any], attempt_no: int) -> Turn:
    entry = json.dumps(entries[-1], ensure_ascii=False)
    said = NEXT_PAGE.format(
        last=len(entries),
        name=name,
        entry=entry if len(entry) <= LAST_SHOWN else entry[:LAST_SHOWN] + "…",
        following=len(entries) + 1,
        size=rule.size,
        complete=rule.complete,
    )
    return Turn(fields=(name,), shows=attempt_no, said=said, goes_on=said, first=len(entries) + 1)
