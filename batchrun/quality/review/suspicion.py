"""How suspicious an answer is: signals that cost no request become one score, which orders documents.

The score adds up the doubts of all fields and what is known of the whole answer. No score falls when a signal gets
worse. Scores prove nothing: a promise holds whatever the scores are worth, and bad scores make the queue long.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from batchrun.answers.field_problems import field_of
from batchrun.store.ledger.audits import Answer

STATUS_DOUBTS = {"exact": 0.0, "close": 0.1, "none": 0.1, "no_text": 0.2, "differs": 0.6, "missing": 0.8}
"""The doubt of a field by how its quote stands to the document."""
PROBLEM_DOUBT = 0.9
"""The doubt of a field whose value was taken away, or is not believed by its quote."""
SPELLING_DOUBT = 0.1
"""The doubt of a field whose value was normalised."""
REPAIR_DOUBT, CHECK_DOUBT = 0.3, 0.5
"""What each repair of the answer adds, and what a failed check of the row adds."""
LENGTH_DOUBT, HALF_LENGTH = 0.2, 10_000
"""What the longest documents add, and the number of cl100k tokens at which half of it is added."""


def suspicion(answer: Answer, fields: Collection[str], failed_checks: int = 0) -> float:
    """Return the score of an answer over the reviewed fields; a higher score is more suspicious.

    `failed_checks` says how many checks the row of the answer has failed.
    """
    findings = answer.findings
    doubts: float = sum(field_doubt(findings, field) for field in fields)
    doubts += REPAIR_DOUBT * findings.get("repairs", 0) + CHECK_DOUBT * failed_checks
    return round(doubts + LENGTH_DOUBT * answer.tokens / (answer.tokens + HALF_LENGTH), 6)


def field_doubt(findings: Mapping[str, Any], field: str) -> float:
    """Return the largest doubt about one field, from 0 to 1."""
    return max(_doubts(findings, field), default=0.0)


def _doubts(findings: Mapping[str, Any], field: str) -> Iterator[float]:
    yield 1 - findings.get("agreement", {}).get(field, 1.0)
    told = findings.get("evidence", {}).get(field, ())
    for one in told if isinstance(told, list) else [told] if told else ():
        yield PROBLEM_DOUBT if one.get("problem") else STATUS_DOUBTS.get(one.get("status"), 0.0)
    if any(field_of(path) == field for path in findings.get("problems", ())):
        yield PROBLEM_DOUBT
    if any(field_of(path) == field for path in findings.get("originals", ())):
        yield SPELLING_DOUBT
