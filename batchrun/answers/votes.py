"""Votes: a request is asked several times, and the value of each field is the one that most votes have.

Two values are the same if nothing but white space differs between them; lists and objects are compared as wholes. Of
several values with as many votes, the value that came first counts: without a majority that is the first vote's, and
the agreement of the field shows it.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from batchrun.answers.findings import Findings
from batchrun.answers.merged_lists import comparable


@dataclass(frozen=True, slots=True)
class Vote:
    """One answer to a request that is asked several times."""

    output: Mapping[str, Any] | None
    """The values by field; None for a vote that failed: one that was refused, cut short or no row, also when mended."""
    findings: Findings = field(default_factory=Findings)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """Read a vote from its JSON."""
        return cls(kept["output"], Findings(**kept["findings"]))


def has_failed(votes: Sequence[Vote], most: int) -> bool:
    """Whether so many of at most `most` votes failed that the request has no answer: more than half."""
    return sum(vote.output is None for vote in votes) > most // 2


def is_settled(fields: Iterable[str], votes: Sequence[Vote], most: int) -> bool:
    """Whether no further vote is asked: there are `most` votes, or more than half of `most` agree in every field."""
    return len(votes) == most or all(len(_most_alike(name, votes)) > most // 2 for name in fields)


def majority(fields: Iterable[str], votes: Sequence[Vote]) -> tuple[dict[str, Any], Findings]:
    """Return the values that most votes have, with the findings of the votes that gave them and the agreement.

    One vote at least must have an answer. A vote that failed agrees with no value. The findings about a value are those
    of the first vote that has the value.
    """
    output: dict[str, Any] = {}
    problems: dict[str, str] = {}
    originals: dict[str, Any] = {}
    evidence: dict[str, Any] = {}
    agreement: dict[str, float] = {}
    answered = [vote for vote in votes if vote.output is not None]
    for name in fields:
        alike = _most_alike(name, votes)
        giver = (alike or answered)[0]
        output[name] = giver.output[name] if giver.output else None
        agreement[name] = round(len(alike) / len(votes), 4)
        found = giver.findings.about([name])
        problems |= found.problems
        originals |= found.originals
        evidence |= found.evidence
    findings = Findings(
        attempts=sum(vote.findings.attempts for vote in votes),
        repairs=sum(vote.findings.repairs for vote in votes),
        problems=problems,
        originals=originals,
        evidence=evidence,
        votes=len(votes),
        agreement=agreement,
    )
    return output, findings


def _most_alike(name: str, votes: Sequence[Vote]) -> list[Vote]:
    """Return the votes for the value of a field that most votes have, and of equals for the value that came first.

    A value that became null for a problem counts as none. Returns an empty list if no vote has a value.
    """
    found: dict[Hashable, list[Vote]] = {}
    for vote in votes:
        if vote.output is not None and (vote.output[name] is not None or name not in vote.findings.problems):
            found.setdefault(comparable(vote.output[name]), []).append(vote)
    return max(found.values(), key=len, default=[])
