"""Where the answer for a document comes from: prompt, parts, attempts, changes and evidence."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from batchrun.cli.find_run import FoundRun
from batchrun.cli.views.attempt_text import attempt_lines, told_attempt
from batchrun.cli.views.evidence_text import change_lines, evidence_lines
from batchrun.cli.views.format import below_here, count, cut, labelled
from batchrun.document import Unreadable
from batchrun.escaping import escape_control
from batchrun.workflow.asked_parts import AskedPart, asked_document, asked_parts, text_of
from batchrun.workflow.evidence_context import SENDS_LESS, FieldEvidence, field_evidence
from batchrun.workflow.prompt_version import PromptVersion, prompt_version
from batchrun.workflow.read_again import read_again

SHORT = 12
"""How many characters of a hash are shown to people."""
MOST_PARTS = 20
"""How many parts of a long document are listed; JSON has all."""
MOST_CHANGES = 40
"""How many lines tell what was changed in the reply."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the answer for a document comes from."""

    prompt: Mapping[str, str | None]
    """The hashes of the prompt and of the form of the answer, which are None for requests of earlier versions."""
    job_file: str
    version: PromptVersion
    parts: Sequence[AskedPart]
    attempts: Sequence[Mapping[str, Any]]
    evidence: Sequence[FieldEvidence]
    no_context: str | None
    """Why no lines of the document are shown around quotes; None if they are, and where there is no quote."""

    @property
    def as_json(self) -> dict[str, Any]:
        """What is added to the story of the document."""
        return {
            **self.prompt,
            "prompt_version": asdict(self.version),
            "attempts": self.attempts,
            "evidence": [one.as_json for one in self.evidence],
            "no_context": self.no_context,
        }


def origins_of(found: FoundRun, story: Mapping[str, Any]) -> Origins:
    """Find out where the answer for a document comes from, also from the document and the job file of today."""
    parts = list(asked_parts(story))
    first = parts[0].story if parts else {}
    prompt = {name: first.get(name) for name in ("prompt_sha", "form_sha")}
    evidence, no_context = _evidence(found, parts)
    return Origins(
        prompt=prompt,
        job_file=below_here(found.job_path),
        version=prompt_version(found.job_path, **prompt),
        parts=parts,
        attempts=[told_attempt(found.ledger, *one) for one in enumerate(story["attempts"], 1)],
        evidence=evidence,
        no_context=no_context,
    )


def _evidence(found: FoundRun, parts: Iterable[AskedPart]) -> tuple[list[FieldEvidence], str | None]:
    """List the evidence, with lines of the documents, which are read again; also say why there are no such lines."""
    quoted = [part for part in parts if part.of_fields("evidence")]
    asked = [asked_document(part.story) for part in quoted]
    read = read_again(found.job_path, asked, simulated=found.story.simulated) if quoted else []
    evidence = [
        one
        for part, document in zip(quoted, read, strict=True)
        for one in field_evidence(part.of_fields("evidence"), text_of(document), part=part.number)
    ]
    if all(one.context or not one.told.get("spans") for one in evidence):
        return evidence, None
    reasons = (one.reason.partition("\n")[0] for one in read if isinstance(one, Unreadable))
    return evidence, next(reasons, SENDS_LESS)


def origin_lines(origins: Origins, width: int | None) -> Iterator[str]:
    """Yield the lines on where an answer comes from."""
    if any(part.story["request_id"] for part in origins.parts):
        yield f"prompt   {_prompt_words(origins)}"
    yield from _part_lines(origins.parts, width)
    for attempt in origins.attempts:
        yield from attempt_lines(attempt, width)
    if said := _replies(origins.parts):
        yield f"answer   {said}"
    changes = _change_lines(origins.parts, width)
    yield from islice(changes, MOST_CHANGES)
    if left := sum(1 for _ in changes):
        yield f"  and {count(left, 'more line')} of this kind, which --json shows"
    if origins.evidence:
        yield "evidence"
    yield from _evidence_lines(origins.evidence, width)
    if origins.no_context:
        yield from labelled("context", f"not shown: {origins.no_context}", width=width, indent=0)


def _prompt_words(origins: Origins) -> str:
    prompt_sha, form_sha = origins.prompt["prompt_sha"], origins.prompt["form_sha"]
    version, job_file = origins.version, escape_control(origins.job_file)
    if not (prompt_sha and form_sha):
        return "not recorded by the version of batchrun that has asked"
    named = f"{prompt_sha[:SHORT]}, form {form_sha[:SHORT]}"
    if version.is_current is None:
        return f"{named}; {job_file} cannot be read today"
    if not version.is_current:
        return f"{named}; {job_file} asks otherwise today"
    if not version.commit:
        return f"{named}, as in {job_file}"
    commit = f"commit {version.commit.sha[:SHORT]} of {version.commit.at[:10]}"
    changed = f"with changes that are not committed, last in {commit}"
    return f"{named}, as in {job_file}, {changed if version.commit.has_changes else commit}"


def _part_lines(parts: Sequence[AskedPart], width: int | None) -> Iterator[str]:
    numbered = [part for part in parts if part.number is not None]
    for part in numbered[:MOST_PARTS]:
        label = f"part {part.number}"
        yield cut(f"{label:<9}{part.story['status']}  {escape_control(part.story['doc_id'])}", width)
    if len(numbered) > MOST_PARTS:
        yield f"         and {count(len(numbered) - MOST_PARTS, 'more part')}, which --json shows"


def _change_lines(parts: Sequence[AskedPart], width: int | None) -> Iterator[str]:
    for part in parts:
        of = "" if part.number is None else f", part {part.number}"
        changes = part.of_fields("originals"), part.of_fields("problems")
        yield from change_lines(*changes, width, kept=part.filled, of=of)


def _replies(parts: Sequence[AskedPart]) -> str:
    """Say how many replies the answer took, where one reply for each part was not enough."""
    findings = [part.story["findings"] for part in parts]
    replies = sum(found.get("attempts", 1) for found in findings)
    repairs = sum(found.get("repairs", 0) for found in findings)
    repaired = f", {repairs:,} of them to mend it" if repairs else ""
    return f"{count(replies, 'reply', 'replies')}{repaired}" if replies > len(parts) else ""


def _evidence_lines(evidence: Sequence[FieldEvidence], width: int | None) -> Iterator[str]:
    by_field = defaultdict[str, list[FieldEvidence]](list)
    for one in evidence:
        by_field[one.field].append(one)
    for of_field in by_field.values():
        yield from evidence_lines(of_field, width)
