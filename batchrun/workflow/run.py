"""The whole story of running a job: calibration, pilot and submit, with somebody who hears of the run."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from batchrun.execution.run import Caller, Interrupts, ProviderFactory
from batchrun.planning.selection import Selection
from batchrun.strategy.pilot_report import PilotOptions, pilot_terms
from batchrun.workflow.cascade_calibration import CalibratedSubmit
from batchrun.workflow.observer import Observer
from batchrun.workflow.open_job import OpenJob, SubmitOptions
from batchrun.workflow.pilot import PilotSubmit
from batchrun.workflow.submit import submit
from batchrun.workflow.summary import Summary


async def run_job(
    opened: OpenJob,
    selection: Selection,
    provider: ProviderFactory,
    observer: Observer,
    *,
    interrupts: Interrupts = nullcontext,
    options: SubmitOptions | None = None,
    pilot: PilotOptions | None = None,
    counts: bool = True,
) -> Summary:
    """Plan and run a job, and return how the run ended. Without `pilot` no documents come first.

    Raises Refused and other BatchrunErrors with nothing sent. What goes wrong later is in the summary. `counts` says
    whether the API is asked, free of charge, for the tokens of a few requests to plan with.
    """

    async def rest(opened: OpenJob, options: SubmitOptions) -> Summary:
        if pilot is None:
            return await submit(opened, selection, caller, show=observer.planned, options=options, counts=counts)
        terms = pilot_terms(opened.job.spec.pilot, pilot)
        first = PilotSubmit(opened, caller, observer.planned, observer.piloted, options, counts=counts)
        return await first.submit(selection, terms)

    options = replace(options or SubmitOptions(), planning=observer.planning)
    caller = Caller(provider=provider, listener=observer.heard, interrupts=interrupts, sending=observer.sending)
    shows = partial(observer.planned, what="calibration")
    calibrated = CalibratedSubmit(opened, caller, shows, observer.calibrated, rest, options, counts=counts)
    try:
        summary = await calibrated.submit(selection)
    except BaseException as error:
        observer.failed(error)
        raise
    observer.ended(summary)
    return summary
