"""The answers over the parts of long documents become one answer for each document, when all its parts are settled."""

import json
from dataclasses import asdict

from batchrun.answers.merge import merge
from batchrun.job.load import JobFile
from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.wholes import MergedAnswer, Whole, Wholes


def merge_parts(ledger: Ledger, job: JobFile) -> int:
    """Merge what can be merged, and record the answers. Returns how many documents have another answer now.

    Merging is safe at any time and safe to repeat: an answer that follows from the same parts stays. A document of
    which a part has failed has no answer, because a part of an answer would look like the whole.
    """
    wholes, merged = Wholes(ledger, job.spec.job.name), 0
    rules = json.dumps({name: asdict(rule) for name, rule in job.fields.merge_rules.items()}, sort_keys=True)
    for whole in wholes.each():
        if whole.settled and whole.digest(rules) != whole.merged_of:
            with ledger.transaction():
                wholes.record(whole, merged_answer(whole, job, whole.digest(rules)))
            merged += 1
    return merged


def merged_answer(whole: Whole, job: JobFile, digest: str) -> MergedAnswer:
    """Merge the answers of a document's parts by the rules of the job's fields."""
    if failed := whole.failed:
        what = failed.reason or failed.outcome or Outcome.ERRORED
        return MergedAnswer(digest, None, None, f"part {failed.number} of {failed.total} has no answer: {what}")
    answers = [json.loads(part.output) for part in whole.parts if part.output is not None]
    overlapping = job.spec.source.split_overlap_tokens > 0
    merged = merge(answers, job.fields.merge_rules, overlapping=overlapping)
    provenance = {name: asdict(origin) for name, origin in merged.provenance.items()}
    return MergedAnswer(digest, json.dumps(merged.values, ensure_ascii=False), json.dumps(provenance), None)
