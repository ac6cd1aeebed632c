"""Every mode of asking keeps the same contract, on every route: same columns, same judge, same outcomes."""

import json

import pytest
from command_line import KEY, serving
from trial_project import TrialProject

from batchrun.outcome import Outcome
from batchrun.providers.anthropic.provider import AnthropicFactory

pytestmark = pytest.mark.slow

FIELDS = """\
party_a = "string"
effective_date = "date?"
term_months = "integer?"
auto_renewal = "boolean"
cap_usd = "number?"
kind = { enum = ["msa", "lease", "other"] }
laws = { type = "array", items = "string" }
notice = { type = "object", fields = { days = "integer?", quote = "string?" } }"""
SUMMARY = 'summary = { type = "string", description = "The beginning" }'
CONTRACT = """MASTER SERVICES AGREEMENT

This Agreement is entered into as of March {day}, 2024 between Northwind <Robotics> & Sons GmbH ("Supplier"), and
Contoso Corporation, a Delaware corporation (the "Customer").

1. Term. This Agreement continues for a term of twenty-four (24) months. It renews automatically unless either party
gives notice at least 60 days before the end of the term.

2. Liability. The aggregate cap of liability shall not exceed USD 250,000.

3. Governing Law. The laws of the State of Delaware & "<no> other" govern this Agreement.
"""
DOCUMENTS = 12
COLUMNS = "party_a, effective_date, term_months, auto_renewal, cap_usd, kind, laws, notice"
MODES = ["json_schema", "tool", "xml", "text"]
STRUCTURED = MODES[:3]
ROUTES = {"plain": ("stream", 2_000), "streamed": ("stream", 30_000), "batch": ("batch", 2_000)}
POLLING = 'poll_interval = "0.01s"\nmax_poll_interval = "0.02s"'
OLD, THINKING, FREE = "claude-haiku-4-5", "claude-haiku-5-5", "claude-sonnet-5-5"
"""Models that never think unasked, that think unless a tool is forced, and that cannot be forced."""


LARGEST_TOOL_PROMPT, SIMULATED_TOOL_PROMPT = 804, 286
"""Tokens of the system prompt that the API adds for tools: the most of any model, and the least of the simulator."""


def asking(
    project: TrialProject,
    mode: str,
    *,
    route: str = "plain",
    model: str = OLD,
    more: str = "",
    documents: int = DOCUMENTS,
    repairs: int = 0,
) -> None:
    """Write the job, and its documents."""
    way, max_tokens = ROUTES[route]
    project.job(
        model=f'name = "{model}"\nmax_tokens = {max_tokens}\n{more}',
        prompt='user = "<contract>\\n{{ doc.text }}\\n</contract>\\nReturn the fields."',
        output=f'mode = "{mode}"\nmax_repairs = {repairs}',
        output_fields=SUMMARY if mode == "text" else FIELDS,
        run=f'max_concurrency = 4\nroute = "{way}"',
        batch=POLLING,
    )
    for number in range(documents):
        project.document(f"{number:04}.txt", CONTRACT.format(day=number + 1))


def submitted(project: TrialProject, *script: str) -> dict[Outcome, int]:
    """Run the job against the simulator, through the real client."""
    with serving(*script) as api:
        factory = AnthropicFactory(base_url=api.base_url, api_key=KEY)
        return dict(project.submit(factory).outcomes)


def row_of(day: int) -> tuple[object, ...]:
    """What the simulated model finds in a document."""
    return (f"2024-03-{day:02}", 24, True, 250_000.0, "msa")


@pytest.mark.parametrize("model", [OLD, THINKING, FREE], ids=["old", "thinking", "free"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("mode", STRUCTURED)
def test_the_rows_are_the_same_in_every_mode(project: TrialProject, mode: str, route: str, model: str) -> None:
    asking(project, mode, route=route, model=model)

    assert submitted(project) == {Outcome.SUCCEEDED: DOCUMENTS}

    found = project.rows(f"select {COLUMNS} from trial order by effective_date")
    assert [(str(row[1]), *row[2:6]) for row in found] == [row_of(day + 1) for day in range(DOCUMENTS)]
    assert {row[0] for row in found} == {"Northwind <Robotics> & Sons GmbH"}
    assert all("<no> other" in " ".join(row[6]) for row in found)
    assert {row[7]["days"] for row in found} == {60}


@pytest.mark.parametrize("route", ROUTES)
def test_text_is_one_column(project: TrialProject, route: str) -> None:
    asking(project, "text", route=route, model=FREE)

    assert submitted(project) == {Outcome.SUCCEEDED: DOCUMENTS}

    texts = [summary for (summary,) in project.rows("select summary from trial order by summary")]
    assert len(texts) == DOCUMENTS
    assert all("Northwind <Robotics> & Sons GmbH" in text for text in texts)


SPOILT = {
    "refused": Outcome.REFUSED,
    "truncated": Outcome.TRUNCATED,
    "window_exceeded": Outcome.TRUNCATED,
    "empty": Outcome.INVALID,
    "invalid_json": Outcome.INVALID,
    "schema_violation": Outcome.INVALID,
    "thinking_first": Outcome.SUCCEEDED,
}
"""What becomes of a document whose reply is spoilt."""
ALWAYS_VALID = {"invalid_json", "schema_violation"}
"""What no plain text can be."""


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("spoiling", SPOILT)
@pytest.mark.parametrize("mode", MODES)
def test_a_spoilt_reply_has_the_same_outcome_in_every_mode(
    project: TrialProject, mode: str, spoiling: str, route: str
) -> None:
    asking(project, mode, route=route, model=THINKING, documents=1)
    expected = Outcome.SUCCEEDED if mode == "text" and spoiling in ALWAYS_VALID else SPOILT[spoiling]

    assert submitted(project, f"batch_request_{spoiling}" if route == "batch" else spoiling) == {expected: 1}


@pytest.mark.parametrize("model", [OLD, FREE], ids=["old", "free"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("spoiling", ["invalid_json", "schema_violation", "empty"])
@pytest.mark.parametrize("mode", STRUCTURED)
def test_a_reply_is_mended_in_every_mode(
    project: TrialProject, mode: str, spoiling: str, route: str, model: str
) -> None:
    asking(project, mode, route=route, model=model, documents=1, repairs=1)

    assert submitted(project, f"batch_request_{spoiling}" if route == "batch" else spoiling) == {Outcome.SUCCEEDED: 1}

    assert project.rows("select effective_date::varchar, term_months, auto_renewal, cap_usd, kind from trial") == [
        row_of(1)
    ]
    assert project.ask("select count(*) from attempts") == [(2,)]


CHAINS = {"free-forced": (FREE, OLD), "forced-free": (OLD, FREE), "thinking-free": (THINKING, FREE)}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("mode", STRUCTURED)
def test_a_fallback_is_asked_as_it_takes(project: TrialProject, mode: str, chain: str) -> None:
    first, second = CHAINS[chain]
    fallback = f'fallbacks = ["{second}"]\neffort = "low"' if first != OLD else f'fallbacks = ["{second}"]'
    asking(project, mode, model=first, more=fallback, documents=2)

    assert submitted(project, "refused", "refused") == {Outcome.SUCCEEDED: 2}

    answered = project.rows("select _model, effective_date from trial order by effective_date")
    assert [model.startswith(second) for model, _ in answered] == [True, True]
    assert [str(day) for _, day in answered] == ["2024-03-01", "2024-03-02"]


@pytest.mark.parametrize("mode", STRUCTURED)
def test_a_model_that_is_asked_to_think_is_not_forced(project: TrialProject, mode: str) -> None:
    asking(project, mode, model="claude-opus-5", more='thinking = "adaptive"', documents=3)

    assert submitted(project) == {Outcome.SUCCEEDED: 3}


@pytest.mark.parametrize("mode", MODES)
def test_the_plan_is_near_what_is_billed(project: TrialProject, mode: str) -> None:
    asking(project, mode, model=FREE)
    plan = project.plan()

    submitted(project)

    classes = "input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens"
    ((billed,),) = project.ask(f"select sum({classes}) from attempts")
    assert plan.estimate.input.low <= billed <= plan.estimate.input.high


@pytest.mark.parametrize("model", ["claude-opus-4-7", OLD, THINKING, FREE], ids=["largest", "old", "thinking", "free"])
@pytest.mark.parametrize("mode", MODES)
def test_the_worst_case_holds(project: TrialProject, mode: str, model: str) -> None:
    asking(project, mode, model=model, documents=0)
    project.document("tiny.txt", "x")
    most = project.plan().worst_tokens - ROUTES["plain"][1]

    submitted(project)

    classes = "input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens"
    ((billed, costs_less),) = project.ask(f"select {classes}, cost_nusd < reserved_nusd from attempts")
    assert costs_less
    assert billed + LARGEST_TOOL_PROMPT - SIMULATED_TOOL_PROMPT <= most if mode == "tool" else billed <= most


@pytest.mark.parametrize("mode", MODES)
def test_what_was_answered_is_not_asked_again(project: TrialProject, mode: str) -> None:
    asking(project, mode, documents=2)
    submitted(project)
    with serving() as api:
        again = project.submit(AnthropicFactory(base_url=api.base_url, api_key=KEY))
        assert again.outcomes == {Outcome.SUCCEEDED: 2}
        assert api.books.entries == []


@pytest.mark.parametrize("mode", MODES)
def test_the_form_of_a_run_names_the_mode(project: TrialProject, mode: str) -> None:
    asking(project, mode, documents=1)
    submitted(project)
    forms = [json.loads(form) for (form,) in project.ask("select form from answer_forms")]
    assert [form["mode"] for form in forms] == [mode]
