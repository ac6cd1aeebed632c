"""The answers over the parts of long documents become one answer for each document, when all its parts are settled."""

import json
from dataclasses import asdict, replace

from batchrun.answers.findings import Findings
from batchrun.answers.merge import merge
from batchrun.answers.merged_findings import PartFound, merged_findings
from batchrun.job.load import JobFile
from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.wholes import MergedAnswer, MergingAnswer, Whole, Wholes


def merge_parts(ledger: Ledger, job: JobFile) -> int:
    """Merge what can be merged, and record the answers. Returns how many documents have another answer now.

    Merging is safe at any time and safe to repeat: an answer that follows from the same parts stays. A document of
    which a part has failed has no answer, because a part of an answer would look like the whole.
    """
    if job.spec.source.merge == "model":
        return take_over(ledger, job)
    wholes, merged = Wholes(ledger, job.spec.job.name), 0
    if wholes.any_merging():
        with ledger.transaction():
            wholes.forget_merging()
    rules = json.dumps({name: asdict(rule) for name, rule in job.fields.merge_rules.items()}, sort_keys=True)
    for whole in wholes.each():
        if whole.settled and whole.digest(rules) != whole.merged_of:
            with ledger.transaction():
                wholes.record(whole, merged_answer(whole, job, whole.digest(rules)), whole.last)
            merged += 1
    return merged


def take_over(ledger: Ledger, job: JobFile) -> int:
    """Make the answers of merging requests the answers of their documents, as `merge_parts` does with rules.

    A document keeps the answer that it has while the request that merges its parts is pending.
    """
    wholes, merged = Wholes(ledger, job.spec.job.name), 0
    for whole in wholes.each():
        merging = wholes.merging(whole)
        answer = taken_over(whole, merging)
        if answer and answer.merged_of != whole.merged_of:
            with ledger.transaction():
                wholes.record(whole, answer, merging if merging and answer.request_id else whole.last)
            merged += 1
    return merged


def taken_over(whole: Whole, merging: MergingAnswer | None) -> MergedAnswer | None:
    """Return what a merging request has answered, or why there is no answer. Returns None while that is open."""
    if not whole.settled:
        return None
    if whole.failed:
        return without_answer(whole, whole.digest(""))
    if merging is None or merging.outcome is None or merging.of != whole.merging_digest:
        return None
    digest = whole.digest(json.dumps([merging.of, merging.request_id, merging.outcome, merging.reason]))
    reason = merging.reason or merging.outcome
    if merging.request_id:
        reason = f"its {len(whole.parts)} parts have answers, and the request that merges them has none: {reason}"
    findings = with_attempts_of(whole, Findings.of(merging.findings)).as_json if merging.output else None
    return MergedAnswer(digest, merging.output, None, None if merging.output else reason, merging.request_id, findings)


def with_attempts_of(whole: Whole, findings: Findings) -> Findings:
    """Add the replies that a document's parts took to the findings of the request that merges the parts."""
    parts = [Findings.of(part.findings) for part in whole.parts]
    attempts, repairs = (sum(counts) for counts in zip(*((one.attempts, one.repairs) for one in parts), strict=True))
    return replace(findings, attempts=findings.attempts + attempts, repairs=findings.repairs + repairs)


def without_answer(whole: Whole, digest: str) -> MergedAnswer:
    """Say which part keeps a document from an answer."""
    failed = whole.failed
    assert failed is not None, "a document whose parts have all succeeded has an answer"
    what = failed.reason or failed.outcome or Outcome.ERRORED
    return MergedAnswer(digest, None, None, f"part {failed.number} of {failed.total} has no answer: {what}")


def merged_answer(whole: Whole, job: JobFile, digest: str) -> MergedAnswer:
    """Merge the answers of a document's parts by the rules of the job's fields."""
    if whole.failed:
        return without_answer(whole, digest)
    answers = [json.loads(part.output) for part in whole.parts if part.output is not None]
    overlapping = job.spec.source.split_overlap_tokens > 0
    merged = merge(answers, job.fields.merge_rules, overlapping=overlapping)
    provenance = {name: asdict(origin) for name, origin in merged.provenance.items()}
    found = [PartFound(*one) for one in zip(answers, (Findings.of(part.findings) for part in whole.parts), strict=True)]
    findings = merged_findings(merged, found, job.fields.merge_rules).as_json
    output = json.dumps(merged.values, ensure_ascii=False)
    return MergedAnswer(digest, output, json.dumps(provenance), None, findings=findings)
