"""OpenTelemetry: a span for each run and for each document, around the spans that the SDK makes of its calls.

All names of spans and attributes stand here. The names of `gen_ai` are those of November 2026, and still change:
https://github.com/open-telemetry/semantic-conventions-genai. No text of a document or reply is in a span, and so no
reason why a reply is invalid, which may quote one.
"""

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import entry_points

from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control
from batchrun.events import AttemptEnded, DocumentSettled, Event, RunStarted
from batchrun.workflow.observer import Observer
from batchrun.workflow.summary import Summary

RUN, DOCUMENT, ATTEMPT = "batchrun.run", "batchrun.document", "batchrun.attempt"
RUN_ID, JOB, ROUTE, SIMULATED = "batchrun.run.id", "batchrun.job.name", "batchrun.route", "batchrun.simulated"
EXIT_CODE, COST = "batchrun.exit_code", "batchrun.cost_usd"
DOC_ID, OUTCOME, BATCH_ID = "batchrun.document.id", "batchrun.document.outcome", "batchrun.batch.id"
STATE, LATENCY = "batchrun.attempt.state", "batchrun.attempt.latency_s"
ERROR_TYPE, MODEL, API_REQUEST_ID = "error.type", "gen_ai.request.model", "anthropic.request.id"
CALL: dict[str, AttributeValue] = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic"}
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
CACHE_READ, CACHE_WRITE = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"


class TellsOnce(logging.Handler):
    """Tells once that spans get lost. The exporter's own words have its address in them, and so maybe a token."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._warn: Callable[[str], None] | None = warn

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        """Tell, and never again."""
        if self._warn:
            self._warn("spans cannot be sent to where OTEL_… says, and may be lost")
        self._warn = None


def tracer(warn: Callable[[str], None]) -> Tracer:
    """Return what makes spans, set up by the variables OTEL_… alone. Raises UsageProblem without the extra `otel`."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        set_up(os.environ.get("OTEL_TRACES_EXPORTER", "otlp"))
        log = logging.getLogger("opentelemetry")
        log.addHandler(TellsOnce(warn))
        log.propagate = False
    return trace.get_tracer("batchrun")


def set_up(exporter: str) -> None:
    """Set up what sends the spans of this process, the SDK's own among them, at the latest when the process ends."""
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        what = "OTEL_… asks for spans; install what sends them: pip install 'batchrun-documents[otel]'"
        raise UsageProblem(what) from None
    name = "otlp_proto_http" if exporter == "otlp" else exporter
    exporters = list(entry_points(group="opentelemetry_traces_exporter", name=name))
    if not exporters:
        raise UsageProblem(f"OTEL_TRACES_EXPORTER: no exporter {escape_control(exporter)} is installed")
    resource = Resource.create().merge(Resource({SERVICE_NAME: "batchrun"})).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporters[0].load()()))
    trace.set_tracer_provider(provider)


class Tracing(Observer):
    """Makes the spans. While a request is sent, the span of its document is the current one."""

    def __init__(self, made_by: Tracer, *, simulated: bool) -> None:
        self._tracer, self._simulated = made_by, simulated
        self._run: Span | None = None
        self._within = ExitStack()
        self._documents: dict[str, Span] = {}

    def heard(self, event: Event) -> None:
        """Begin the span of a run, and end the spans of documents."""
        match event:
            case RunStarted():
                self._end({})
                attributes = {RUN_ID: event.run_id, JOB: event.job, ROUTE: event.route, MODEL: event.model}
                self._run = self._tracer.start_span(RUN, attributes={**attributes, SIMULATED: self._simulated})
                # Whatever the run begins from here on, in tasks and in threads, is within its span.
                self._within.enter_context(trace.use_span(self._run, end_on_exit=True))
            case AttemptEnded() if span := self._documents.get(event.doc_id):
                span.add_event(ATTEMPT, attempt_attributes(event))
                span.set_attribute(MODEL, event.model)
            case DocumentSettled():
                self._settle(event)

    def sending(self, doc_id: str) -> AbstractContextManager[object]:
        """Make the span of the document the current one."""
        span = self._documents[doc_id] = self._documents.get(doc_id) or self._begin(doc_id)
        # What is raised may quote a document, and an attempt that fails may be followed by one that does not.
        return trace.use_span(span, record_exception=False, set_status_on_exception=False)

    def ended(self, summary: Summary) -> None:
        """End the span of the run."""
        cost_nusd = summary.totals.cost_nusd if summary.totals else 0
        self._end({EXIT_CODE: int(summary.exit_code), COST: cost_nusd / 1e9}, fails=bool(summary.exit_code))

    def failed(self, error: BaseException) -> None:
        """End the span of the run with the name of the error."""
        self._end({ERROR_TYPE: type(error).__name__}, fails=True)

    def _begin(self, doc_id: str) -> Span:
        return self._tracer.start_span(DOCUMENT, attributes={DOC_ID: doc_id, SIMULATED: self._simulated, **CALL})

    def _settle(self, event: DocumentSettled) -> None:
        span = self._documents.pop(event.doc_id, None)
        span = span or self._begin(event.doc_id)  # nothing was sent for it now: a batch has its answer
        span.set_attributes({OUTCOME: str(event.outcome), COST: event.cost_nusd / 1e9})
        if event.batch_id:
            span.set_attribute(BATCH_ID, event.batch_id)
        if event.outcome.failed:
            span.set_attribute(ERROR_TYPE, str(event.outcome))
            span.set_status(StatusCode.ERROR)
        span.end()

    def _end(self, attributes: dict[str, AttributeValue], *, fails: bool = False) -> None:
        for span in self._documents.values():  # their documents are pending
            span.end()
        self._documents.clear()
        if self._run:
            self._run.set_attributes(attributes)
            self._run.set_status(StatusCode.ERROR if fails else StatusCode.UNSET)
        self._within.close()


def attempt_attributes(event: AttemptEnded) -> dict[str, AttributeValue]:
    """Return the attributes of one attempt. Input tokens include those read from the cache and written to it."""
    known: dict[str, AttributeValue | None] = {
        MODEL: event.model,
        STATE: event.state,
        LATENCY: round(event.latency_s, 3),
        API_REQUEST_ID: event.api_request_id,
        ERROR_TYPE: event.failure.name if event.failure else None,
        COST: None if event.cost_nusd is None else event.cost_nusd / 1e9,
    }
    if usage := event.usage:
        known |= {INPUT: usage.prompt_tokens, OUTPUT: usage.output_tokens}
        known |= {CACHE_READ: usage.cache_read_tokens, CACHE_WRITE: usage.cache_write_tokens}
    return {name: value for name, value in known.items() if value is not None}
