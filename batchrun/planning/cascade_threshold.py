"""The threshold of a calibrated cascade: a calibration holds for the settings and scores that it was made with."""

import hashlib
import json

from batchrun.answers.suspicion import VERSION
from batchrun.job.load import JobFile
from batchrun.planning.request_template import RequestTemplate
from batchrun.store.ledger.cascade_calibrations import CascadeCalibrations
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


def calibrated_chain(job: JobFile, chain: ModelChain, ledger: Ledger) -> ModelChain:
    """Return the chain with the threshold that the newest calibration has found, or the same chain without one."""
    if chain.acceptance_rules is None or not chain.acceptance_rules.is_calibrating:
        return chain
    found = CascadeCalibrations(ledger, job.spec.job.name).latest(calibration_settings(job, chain))
    return chain if found is None or found.below is None else chain.with_threshold(found.below, found.calibration_no)
