"""The threshold of a calibrated cascade: a calibration holds for the settings and scores that it was made with."""

import hashlib
import json
from dataclasses import replace

from batchrun.answers.suspicion import VERSION
from batchrun.errors import BatchrunError, Refused, Stopped
from batchrun.job.load import JobFile
from batchrun.job.model_sections import CascadeSection
from batchrun.planning.request_template import RequestTemplate
from batchrun.statistics.audit import calibration_needed
from batchrun.store.ledger.cascade_calibrations import CascadeCalibration, latest_calibration
from batchrun.store.ledger.ledger import Ledger
from batchrun.strategy.model_chain import ModelChain


def calibration_settings(job: JobFile, chain: ModelChain) -> str:
    """Return the digest of all that a threshold depends on: requests, models, [cascade], match rules and the score."""
    cascade, gold = job.spec.cascade, job.spec.gold
    assert cascade is not None
    template = RequestTemplate(job, tool_choice=chain.models[0].tool_choice)
    models = [[model.price.name, model.effort, model.thinking] for model in chain.models]
    # A key that has its default says nothing: a later batchrun may know more keys.
    rules = cascade.model_dump(mode="json", exclude_defaults=True)
    matches = gold.model_dump(mode="json", include={"match"}, exclude_defaults=True) if gold else {}
    sizes = [cascade.max_difference, cascade.documents_to_calibrate]
    decisive = [VERSION, template.fingerprint, models, sizes, rules, matches]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def begun_calibration(job: JobFile, chain: ModelChain, ledger: Ledger) -> CascadeCalibration | None:
    """Find the newest calibration of a job's cascade as it is. Returns None if none has begun."""
    return latest_calibration(ledger, job.spec.job.name, calibration_settings(job, chain))


def calibrated_chain(job: JobFile, chain: ModelChain, ledger: Ledger) -> ModelChain:
    """Return the chain with the threshold that the newest calibration has found, or the same chain without one."""
    rules = chain.acceptance_rules
    found = begun_calibration(job, chain, ledger) if rules and rules.is_calibrating else None
    if rules is None or found is None or found.below is None:
        return chain
    return replace(chain, acceptance_rules=replace(rules, below=found.below, calibration_no=found.calibration_no))


def calibration_problem(job: JobFile, chain: ModelChain, ledger: Ledger, to_send: int) -> BatchrunError | None:
    """Return why a submit with so many documents to send would not find a threshold, or None if it may, or needs none.

    A calibration that has begun goes on, however few documents are left.
    """
    rules, section = chain.acceptance_rules, job.spec.cascade
    if section is None or rules is None or not rules.is_calibrating or not to_send:
        return None
    if begun := begun_calibration(job, chain, ledger):
        return no_threshold(section, begun) if begun.ended else None
    if to_send >= (needed := calibration_needed(section.max_difference)):
        return None
    return Refused(
        f"max_difference = {section.max_difference:g} needs {needed:,} documents that both models answer, and only"
        f" {to_send:,} are to be sent. Nothing was sent.",
        hint=f"raise max_difference, take accept out, or take [cascade] out and name {section.models[-1]} in [model]",
    )


def no_threshold(section: CascadeSection, ended: CascadeCalibration) -> Stopped:
    """Return the error of a calibration that has found no threshold."""
    first, last = section.models
    return Stopped(
        f"no threshold holds: by {ended.asked:,} documents that both models answered, nobody can promise that"
        f" at most {ended.max_difference:.1%} of the documents taken from {first} differ from {last}.",
        hint=f"take [cascade] out and name {last} in [model]; or set a larger `calibrate` or max_difference, or"
        ' accept = "rules", which promises nothing',
    )
