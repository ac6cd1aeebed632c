"""Who hears of a run besides whoever started the run."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

from batchrun.integrations.github import GithubActions, append
from batchrun.integrations.notify import Notify
from batchrun.integrations.prometheus import Textfile
from batchrun.job.telling_sections import JOB
from batchrun.report.report_file import ReportFile, Target
from batchrun.workflow.observer import HarmlessObservers, Observer, reason
from batchrun.workflow.open_job import OpenJob

Say = Callable[[str], None]
ASKS_FOR_SPANS = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def observers_of(
    opened: OpenJob, files: Sequence[Target], written: dict[str, Path], *, warn: Say, say: Say
) -> Observer:
    """Return the observers that the job file, the environment and the command, with its `files`, ask for.

    `written` has the files in the end, by their kinds. `warn` tells a person what an observer could not do, and `say`
    writes a line where GitHub reads commands. No run fails because of an observer.
    """
    found = list[Observer]()
    for make in makers(opened, files, written, warn=warn, say=say):
        try:
            found.append(make())
        except Exception as error:  # noqa: BLE001 - as of an observer that fails later
            warn(reason(error))
    return HarmlessObservers(found, warn)


def makers(
    opened: OpenJob, files: Sequence[Target], written: dict[str, Path], *, warn: Say, say: Say
) -> Iterator[Callable[[], Observer]]:
    """Yield what makes each observer that is asked for."""
    targets, environ = list(files), os.environ
    on_github, step = environ.get("GITHUB_ACTIONS") == "true", environ.get("GITHUB_STEP_SUMMARY")
    if on_github:
        yield lambda: GithubActions(f"batchrun {opened.name}{' (SIMULATED)' if opened.simulated else ''}", say)
    if on_github and step:
        targets.append(Target(kind="md", path=Path(step), write=append))
    for target in targets:
        yield partial(ReportFile, opened, target, written, warn)
    metrics, notify = opened.job.metrics.prometheus_textfile, opened.job.notify
    if metrics and not opened.simulated:  # a simulated run is no run of the job
        yield lambda: Textfile(opened.job.resolve(metrics.replace(JOB, opened.name)), opened.name)
    if notify.command or notify.webhook_env:
        yield lambda: Notify(opened, warn)
    if wants_spans(environ):
        yield lambda: tracing(opened, warn)


def tracing(opened: OpenJob, warn: Say) -> Observer:
    """Make what makes spans, and import OpenTelemetry only now. Raises UsageProblem without the extra `otel`."""
    from batchrun.integrations.tracing import Tracing, tracer

    return Tracing(tracer(warn), simulated=opened.simulated)


def wants_spans(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for spans, or the program around this run makes spans of its own."""
    if (loaded := sys.modules.get("opentelemetry.trace")) and has_provider(loaded):
        return True
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(environ.get(name) for name in ASKS_FOR_SPANS)


def has_provider(trace: ModuleType) -> bool:
    """Whether something has been set up that makes spans."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
