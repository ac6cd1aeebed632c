"""Spans of a run and of its documents, as OpenTelemetry's exporter gets them: the SDK's own spans are below them."""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from command_line import CommandLine, serving, talking_to
from heard_run import run_with_observers
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.errors import ExitCode, UsageProblem
from batchrun.integrations.observers import wants_spans

PRIVATE = "the lease of Ms Alder"


@pytest.fixture(scope="module")
def spans() -> Iterator[Any]:
    """The exporter of this process, which can be set up only once."""
    pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "_TRACER_PROVIDER", provider)
        yield exporter


@pytest.mark.slow
@pytest.mark.parametrize("route", ["stream", "batch"])
def test_spans_of_a_run(
    spans: Any, project: TrialProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], route: str
) -> None:
    for number in range(4):
        project.document(f"{number}.txt", f"{PRIVATE} {number}")
    path = project.job(run=f'route = "{route}"', batch='poll_interval = "0.01s"', prompt='user = "{{ doc.text }}"')
    spans.clear()
    with serving(*(["overloaded", "invalid_request"] if route == "stream" else [])) as api:
        for name, value in talking_to(api).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(project.root)
        CommandLine(capsys)(f"submit {path}")
    found = spans.get_finished_spans()
    names = {span.context.span_id: span.name for span in found}
    below = Counter((span.name, names.get(span.parent.span_id) if span.parent else None) for span in found)
    called = {} if route == "batch" else {("anthropic.messages.create", "batchrun.document"): 5}
    assert below == {("batchrun.document", "batchrun.run"): 4, ("batchrun.run", None): 1, **called}
    documents = [span for span in found if span.name == "batchrun.document"]
    outcomes = Counter(span.attributes["batchrun.document.outcome"] for span in documents)
    assert outcomes == ({"succeeded": 4} if route == "batch" else {"succeeded": 3, "rejected": 1})
    assert all(("batchrun.batch.id" in span.attributes) is (route == "batch") for span in documents)
    if route == "stream":
        (failed,) = [span for span in documents if span.attributes.get("error.type")]
        assert failed.status.status_code.name == "ERROR"
        assert sum(len(span.events) for span in documents) == 5
    assert PRIVATE not in "".join(span.to_json() for span in found)


def test_nothing_is_imported_unless_spans_are_asked_for() -> None:
    assert wants_spans({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"})
    assert wants_spans({"OTEL_TRACES_EXPORTER": "otlp"})
    if "opentelemetry.sdk" not in sys.modules:
        assert not wants_spans({"OTEL_SERVICE_NAME": "x"})
        assert not wants_spans({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"})
        assert not wants_spans({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "True"})


def test_without_the_extra_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from batchrun.integrations.tracing import set_up

    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(UsageProblem, match=r"pip install 'batchrun-documents\[otel\]'"):
        set_up("otlp")


def test_a_variable_that_opentelemetry_cannot_read_costs_no_run(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "no-such-exporter")
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", None)
    heard = run_with_observers(project, ScriptedProvider())
    assert heard.summary.exit_code is ExitCode.OK
    (said,) = heard.said
    assert said.startswith(("OTEL_TRACES_EXPORTER: no exporter", "OTEL_… asks for spans"))
