"""Who hears of a run besides whoever started the run."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from batchrun.integrations.github import GithubActions, summary_markdown
from batchrun.integrations.notify import Notify
from batchrun.integrations.prometheus import Textfile
from batchrun.job.telling_sections import JOB
from batchrun.report.report_file import ReportFile, report_files
from batchrun.workflow.observer import HarmlessObservers, Observer, reason
from batchrun.workflow.open_job import OpenJob

ASKS_FOR_SPANS = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """The files that a command wants of its run, beside those that the job file names."""

    report: Path | None = None
    """The HTML report."""
    is_live: bool = False
    """Whether the report is written again and again while the run goes on."""
    junit: Path | None = None
    """The outcomes as JUnit XML."""
    written: dict[str, Path] = field(default_factory=dict)
    """The files that were written, by kind: `html` and `junit`. Empty before the end of the run."""


def observers_of(opened: OpenJob, files: RunFiles, warn: Callable[[str], None]) -> list[Observer]:
    """List the observers that the job file, the environment and the command ask for.

    `warn` tells a person what an observer could not do. No run fails because of an observer.
    """
    targets = report_files(opened, report=files.report, junit=files.junit, is_live=files.is_live)
    found: list[Observer] = [ReportFile(opened, target, files.written.__setitem__, warn) for target in targets]
    for make in makers(opened, warn, os.environ):
        try:
            found.append(make())
        except Exception as error:  # noqa: BLE001 - as of an observer that fails later
            warn(f"warning: {reason(error)}")
    return [HarmlessObservers(found, warn)]


def makers(
    opened: OpenJob, warn: Callable[[str], None], environ: Mapping[str, str]
) -> Iterator[Callable[[], Observer]]:
    """Yield what makes each observer that is asked for."""
    metrics, notify = opened.job.metrics.prometheus_textfile, opened.job.notify
    if metrics and not opened.simulated:  # a simulated run is no run of the job
        yield lambda: Textfile(opened.job.resolve(metrics.replace(JOB, opened.name)), opened.name)
    if notify.command or notify.webhook_env:
        yield lambda: Notify(opened, warn)
    if environ.get("GITHUB_ACTIONS") == "true":
        title = f"batchrun {opened.name}{' (SIMULATED)' if opened.simulated else ''}"
        summary = Path(name) if (name := environ.get("GITHUB_STEP_SUMMARY")) else None
        yield lambda: GithubActions(title, summary, summary_markdown, warn)
    if wants_spans(environ):
        yield lambda: tracing(opened, warn)


def tracing(opened: OpenJob, warn: Callable[[str], None]) -> Observer:
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
