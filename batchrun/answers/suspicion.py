"""How suspicious an answer is: signals that cost no request become one score, which orders answers.

The score adds up the doubts of all fields and what is known of the whole answer. No score falls when a signal gets
worse. Scores prove nothing: a promise holds whatever the scores are worth, and bad scores only make it costlier.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from batchrun.answers.field_problems import field_of

VERSION = 1
"""The version of the score. It is raised when scores change: a threshold holds for the scores that it was found on."""
STATUS_DOUBTS = {"exact": 0.0, "close": 0.1, "none": 0.1, "no_text": 0.2, "differs": 0.6, "missing": 0.8}
"""The doubt of a field by how its quote stands to the document."""
PROBLEM_DOUBT = 0.9
"""The doubt of a field whose value was taken away, or is not believed by its quote."""
SPELLING_DOUBT = NULL_DOUBT = 0.1
"""The doubt of a field whose value was normalised, and of a field that is null."""
REPAIR_DOUBT, CHECK_DOUBT = 0.3, 0.5
"""What each repair of the answer adds, and what a failed check of the row adds."""
LENGTH_DOUBT, HALF_LENGTH = 0.2, 10_000
"""What the longest documents add, and the number of cl100k tokens at which half of it is added."""


def suspicion(
    findings: Mapping[str, Any],
    fields: Iterable[str],
    *,
    nulls: Collection[str] = (),
    tokens: int = 0,
    failed_checks: int = 0,
) -> float:
    """Return the score of an answer over some of its fields, 0 or more; a higher score is more suspicious.

    `findings` are as `Findings` has them as JSON, and `nulls` names the fields whose null counts as a doubt. `tokens`
    are the cl100k tokens of the document. `failed_checks` says how many checks the row of the answer has failed.
    """
    doubts: float = sum(field_doubt(findings, field, is_null=field in nulls) for field in fields)
    doubts += REPAIR_DOUBT * findings.get("repairs", 0) + CHECK_DOUBT * failed_checks
    return round(doubts + LENGTH_DOUBT * tokens / (tokens + HALF_LENGTH), 6)


def field_doubt(findings: Mapping[str, Any], field: str, *, is_null: bool = False) -> float:
    """Return the largest doubt about one field, from 0 to 1."""
    agreement: float = findings.get("agreement", {}).get(field, 1.0)
    told = findings.get("evidence", {}).get(field, [])
    quotes = told if isinstance(told, list) else [told]
    return max(
        NULL_DOUBT if is_null else 0.0,
        1 - agreement,
        *(PROBLEM_DOUBT if one.get("problem") else STATUS_DOUBTS.get(one.get("status"), 0.0) for one in quotes),
        PROBLEM_DOUBT if any(field_of(path) == field for path in findings.get("problems", ())) else 0.0,
        SPELLING_DOUBT if any(field_of(path) == field for path in findings.get("originals", ())) else 0.0,
    )
