"""Where the answer for a document comes from: prompt, parts, attempts, changes and evidence."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from batchrun.answers.field_problems import field_of
from batchrun.cli.find_run import FoundRun
from batchrun.cli.views.attempt_text import attempt_lines, told_attempt
from batchrun.cli.views.evidence_text import FieldEvidence, change_lines, evidence_lines, field_evidence
from batchrun.cli.views.format import below_here, count, cut, labelled
from batchrun.document import DocumentRef, Unreadable
from batchrun.escaping import escape_control
from batchrun.workflow.prompt_version import PromptVersion, prompt_version
from batchrun.workflow.read_again import AskedDocument, Reread, read_again

SHORT = 12
"""How many characters of a hash are shown to people."""
MOST_PARTS = 20
"""How many parts of a long document are listed; JSON has all."""
MOST_CHANGES = 40
"""How many lines tell what was changed in the reply."""
SENDS_LESS = "the job sends less of the document today"


@dataclass(frozen=True, slots=True)
class AskedPart:
    """A document that was asked by itself: a whole one, or a part of a long one."""

    number: int | None
    """The number of the part; None for a document that is asked as a whole."""
    story: Mapping[str, Any]
    fields: frozenset[str] | None
    """The fields of the answer that come from here; None for all fields."""

    def of_fields(self, name: str) -> dict[str, Any]:
        """Return findings of one kind, as far as they are about the fields that come from here."""
        found = self.story["findings"].get(name, {})
        return {path: one for path, one in found.items() if self.fields is None or field_of(path) in self.fields}

    @property
    def filled(self) -> frozenset[str]:
        """The fields that are not null."""
        output: dict[str, Any] = json.loads(self.story["output"] or "{}")
        return frozenset(name for name, value in output.items() if value is not None)


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


def asked_parts(story: Mapping[str, Any]) -> Iterator[AskedPart]:
    """Yield what was asked by itself: the document, or the parts of a long one."""
    if "parts" not in story:
        yield AskedPart(None, story, None)
        return
    gave = defaultdict[int, set[str]](set)
    for name, origin in (story["provenance"] or {}).items():
        for number in origin["parts"]:
            gave[number].add(name)
    for part in story["parts"]:
        yield AskedPart(part["number"], part, frozenset(gave[part["number"]]))


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


def text_of(document: Reread | Unreadable) -> str | None:
    """Return the text of a document that was read again. Returns None without a text, and if it cannot be read."""
    return None if isinstance(document, Unreadable) else document.text


def asked_document(story: Mapping[str, Any]) -> AskedDocument:
    """Return a document of the ledger as it is read again."""
    return AskedDocument(
        ref=DocumentRef(story["doc_id"], story["source"], story["place"]),
        content_sha=story["content_sha"],
        request_id=story["request_id"],
        max_tokens=story["max_tokens"],
    )


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
