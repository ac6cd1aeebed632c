"""How right the answers of a run are, by gold labels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.errors import UsageProblem
from batchrun.job.load import JobFile
from batchrun.job.match_rules import MatchRule, default_rule
from batchrun.quality.gold import Labels, gold_needed, known_labels
from batchrun.quality.gold_change import GoldChange, Labelled, gold_change
from batchrun.quality.matching.match import match
from batchrun.quality.scores import Confused, DocumentMatches, Scores, confusion, score, worst
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.run_answers import RunAnswer, run_answers
from batchrun.store.reports.runs import RunStory, same_run

MOST_WORST = 5
"""How many of the worst documents are named."""


@dataclass(frozen=True, slots=True)
class LabelledAnswers:
    """The answers of a run for the documents that have labels, held against the labels."""

    labels: Labels
    answers: Mapping[str, RunAnswer]
    matched: Mapping[str, DocumentMatches]
    """How each answer fits its labels, by document and field. A document without an answer is null in every field."""


@dataclass(frozen=True, slots=True)
class GoldScores:
    """How right the answers of a run are, as the summary of the run keeps it."""

    scores: Scores | None = None
    """None if the labels cannot be read."""
    labels: str = ""
    """The file of the labels, as people see its name."""
    problem: str | None = None
    """Why the labels cannot be read."""


@dataclass(frozen=True, slots=True)
class WrongField:
    """A field of a document whose answer is not the label."""

    field: str
    label: Any
    answer: Any
    evidence: Any
    """What is known of the quote for the answer, as in `Findings`; None for a field without evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How right the answers of a run are, and whether that is good enough."""

    story: RunStory
    labels: str
    """The file of the labels, as people see its name."""
    scores: Scores
    confusions: Mapping[str, tuple[Confused, ...]]
    """Which words of an enum are answered for which labels, by field."""
    worst: Mapping[str, tuple[WrongField, ...]]
    """The wrong fields of the documents with most wrong fields, by document, the worst first."""
    without_answer: int
    """How many of the documents have no answer."""
    not_in_run: tuple[str, ...]
    """The documents that have labels and do not belong to the run; they do not count."""
    against: str | None
    """The id of another run with which the run is compared."""
    change: GoldChange | None
    """How the run compares with the other run; None without another run, and if no labelled document is in both."""
    fail_under: float | None
    """The least share of right answers; None for any."""

    @property
    def is_worse(self) -> bool:
        """Whether the run is worse than the other run by more than chance."""
        return self.change is not None and self.change.is_worse

    @property
    def is_under(self) -> bool:
        """Whether it is not certain that enough answers are right."""
        return self.fail_under is not None and self.scores.pooled.accuracy.low < self.fail_under

    @property
    def fails(self) -> bool:
        """Whether the command fails: the exit code is 1."""
        return self.is_worse or self.is_under


def labelled_answers(job: JobFile, labels: Labels, ledger: Ledger, run_no: int) -> LabelledAnswers:
    """Hold the answers of a run against labels. Documents that do not belong to the run are left out."""
    answers = {one.doc_id: one for one in run_answers(ledger, run_no, among=labels.values)}
    rules = match_rules(job, labels.fields)
    matched = {
        doc_id: {
            name: match(rules[name], label, value_of(answers[doc_id], name)) for name, label in of_document.items()
        }
        for doc_id, of_document in labels.values.items()
        if doc_id in answers and of_document
    }
    return LabelledAnswers(labels, answers, matched)


def match_rules(job: JobFile, fields: Iterable[str]) -> dict[str, MatchRule]:
    """Return the rule by which each field's answers are held against labels."""
    given = job.spec.gold.match if job.spec.gold else {}
    types = job.spec.output.fields
    return {name: given[name].of(types[name]) if name in given else default_rule(types[name]) for name in fields}


def value_of(answer: RunAnswer, field: str) -> Any:
    """Return the value that an answer has for a field; None without a value, and without an answer."""
    return None if answer.values is None else answer.values.get(field)


def evaluate(
    job: JobFile,
    story: RunStory,
    held: LabelledAnswers,
    *,
    against: tuple[RunStory, LabelledAnswers] | None = None,
    fail_under: float | None = None,
) -> Evaluation:
    """Measure how right the answers of a run are, and compare them with those of another run."""
    labels, answers = held.labels, held.answers
    return Evaluation(
        story=story,
        labels=labels.file,
        scores=score(held.matched, labels.fields),
        confusions={
            name: confusion(
                (labels.values[doc_id][name], value_of(answers[doc_id], name))
                for doc_id, matched in held.matched.items()
                if name in matched
            )
            for name in labels.fields
            if job.spec.output.fields[name].kind == "enum"
        },
        worst={doc_id: _wrong_fields(held, doc_id) for doc_id in worst(held.matched, MOST_WORST)},
        without_answer=sum(answer.values is None for answer in answers.values()),
        not_in_run=tuple(sorted(labels.values.keys() - answers.keys())),
        against=against[0].run_id if against else None,
        change=gold_change(_right_before_and_now(against[1], held)) if against else None,
        fail_under=fail_under,
    )


def evaluated_run(
    job: JobFile,
    run: tuple[Ledger, RunStory],
    *,
    against: tuple[Ledger, RunStory] | None = None,
    fail_under: float | None = None,
) -> Evaluation:
    """Evaluate a run, given with its ledger like the run that it is compared with.

    Raises UsageProblem for a job without labels, for labels of no document of the run, and if both are one run.
    """
    ledger, story = run
    if (labels := known_labels(job, ledger)) is None:
        raise gold_needed(job)
    held = labelled_answers(job, labels, ledger, story.run_no)
    if not held.matched:
        raise UsageProblem(
            f"no document of the run {story.run_id} has labels in {labels.file}.",
            hint="the ids in the labels are those that `batchrun results` shows as doc_id",
        )
    if against and against[1].run_id == story.run_id:
        raise same_run(story)
    before = (against[1], labelled_answers(job, labels, against[0], against[1].run_no)) if against else None
    return evaluate(job, story, held, against=before, fail_under=fail_under)


def _wrong_fields(held: LabelledAnswers, doc_id: str) -> tuple[WrongField, ...]:
    answer, labels = held.answers[doc_id], held.labels.values[doc_id]
    evidence = answer.findings.get("evidence", {})
    return tuple(
        WrongField(name, labels[name], value_of(answer, name), evidence.get(name))
        for name, one in held.matched[doc_id].items()
        if not one.right
    )


def _right_before_and_now(before: LabelledAnswers, now: LabelledAnswers) -> list[Labelled]:
    """Say of each field of the documents that both runs have whether the answers before and now are right."""
    return [
        {name: (before.matched[doc_id][name].right, one.right) for name, one in matched.items()}
        for doc_id, matched in now.matched.items()
        if doc_id in before.matched
    ]
