"""`batchrun plan`: what it says, in words and in JSON, and why it refuses."""

import json
import re

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

PLAN = "plan jobs/trial.toml"


@pytest.mark.slow
def test_in_words(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(model='name = "claude-sonnet-5-5"\nmax_tokens = 200\neffort = "low"')
    project.documents(3)
    project.document("empty.txt", "")
    german = "Vergütung für Müller, gemäß § 5, zuzüglich Spesen"
    (project.root / "docs" / "latin.txt").write_bytes(german.encode("cp1252"))
    said = batchrun(PLAN).out.splitlines()
    assert said[:3] == [
        "trial: 5 documents, claude-sonnet-5-5, effort low",
        "source   4 new · 0 changed · 0 done · 1 empty",
        "         empty  docs/empty.txt: the document is empty",
    ]
    starts = [line.split(maxsplit=1)[0] for line in said if line and not line.startswith(" ")]
    assert starts[1:] == [
        "source", "tokens", "counted", "cost", ">", "route", "cache", "limits", "budget", "prices", "Nothing",
    ]  # fmt: skip
    assert any("guessed" in line for line in said), "an encoding that is no UTF-8 is reported"
    assert any("$2 in, $10 out" in line for line in said)
    assert said[-1] == "Nothing was sent. To run this:  batchrun submit jobs/trial.toml"


MODEL = 'name = "claude-haiku-4-5"\nmax_tokens = 100\n'
LADDERS = {
    "dearer": ('fallbacks = ["claude-opus-5"]', ["claude-opus-5"], r" · all of it there would cost up to \$[0-9.]+"),
    "cheaper": ('fallbacks = ["claude-haiku-5-5"]\nfallback_on = ["refused"]', ["claude-haiku-5-5"], ""),
    "several": (
        'fallbacks = ["claude-haiku-5-5", "claude-opus-5"]',
        ["claude-haiku-5-5", "claude-opus-5"],
        r" · all of it at claude-opus-5 would cost up to \$[0-9.]+",
    ),
}


@pytest.mark.parametrize(("keys", "others", "dearer"), LADDERS.values(), ids=LADDERS)
def test_the_ladder(project: TrialProject, batchrun: CommandLine, keys: str, others: list[str], dearer: str) -> None:
    project.job(model=MODEL + keys)
    project.documents(3)
    [line] = [line for line in batchrun(PLAN).out.splitlines() if line.startswith("ladder")]
    why = "refused" if "fallback_on" in keys else "outage, refused, truncated"
    assert re.fullmatch(f"ladder   {', then '.join(['claude-haiku-4-5', *others])} on {why}{dearer}", line)
    assert batchrun(f"{PLAN} --json").json["ladder"] == ["claude-haiku-4-5", *others]


CASCADE = {
    "output_fields": 'title = "string"\nday = "date?"',
    "cascade": 'models = ["claude-haiku-4-5", "claude-sonnet-4-6"]\nnull_in = ["day"]',
}


def test_the_cascade(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(model="max_tokens = 100", **CASCADE)
    project.documents(3)

    said = batchrun(PLAN).out.splitlines()

    start = said.index("cascade  claude-haiku-4-5, then claude-sonnet-4-6 on invalid, truncated, null in day")
    guess = r" {9}about 20% pass on to claude-sonnet-4-6 \(90%: 5% to 50%; a guess\): \$[0-9.]+"
    assert re.fullmatch(guess, said[start + 1])
    assert re.fullmatch(r" {9}claude-sonnet-4-6 alone would cost \$[0-9.]+", said[start + 2])
    assert not any(line.startswith("ladder") for line in said)
    told = batchrun(f"{PLAN} --json").json
    assert told["ladder"] == ["claude-haiku-4-5", "claude-sonnet-4-6"]
    assert told["cascade"]["escalate_on"] == ["invalid", "truncated", "null in day"]
    [step] = told["cascade"]["steps"]
    assert (step["model"], step["share"]) == ("claude-sonnet-4-6", {"mean": 0.2, "low": 0.05, "high": 0.5})
    assert (step["measured_answers"], told["cascade"]["pays"]) == (0, True)
    first = told["estimate_usd"]["mean"] - step["estimate_usd"]["mean"]
    assert first == pytest.approx(told["cascade"]["alone_usd"]["mean"] / 3, rel=0.01), "a third of the price"


def test_a_cascade_that_does_not_pay_says_so(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(model="max_tokens = 100", cascade='models = ["claude-sonnet-4-6", "claude-haiku-4-5"]')
    project.documents(3)
    [line] = [line for line in batchrun(PLAN).out.splitlines() if "alone" in line]
    assert re.fullmatch(
        r" {9}claude-haiku-4-5 alone would cost \$[0-9.]+: the cascade is not expected to be cheaper", line
    )


def test_without_a_cascade_there_is_none(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(1)
    assert batchrun(f"{PLAN} --json").json["cascade"] is None


def test_all_of_it_at_a_fallback_costs_what_it_would_there(project: TrialProject) -> None:
    project.job(model=MODEL + 'fallbacks = ["claude-sonnet-4-6"]\nfallback_on = ["outage"]')
    project.job("other", model=MODEL.replace("haiku-4-5", "sonnet-4-6"))
    project.documents(3)
    dearest, other = project.plan().costliest_fallback, project.plan(job="other")
    assert dearest is not None
    assert (dearest.model, dearest.upper_nusd) == ("claude-sonnet-4-6", other.estimate.upper_nusd)
    assert other.costliest_fallback is None


def test_a_tier(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(model='tier = "simple"\nmax_tokens = 100')
    project.documents(1)
    assert batchrun(PLAN).code == ExitCode.USAGE
    (project.root / "batchrun.toml").write_text('[tiers]\nsimple = ["claude-haiku-4-5", "claude-haiku-5-5"]\n')
    assert batchrun(f"{PLAN} --json").json["ladder"] == ["claude-haiku-4-5", "claude-haiku-5-5"]


def test_a_fallback_that_nobody_knows_is_refused(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(model=MODEL + 'fallbacks = ["claude-nonesuch-9"]')
    project.documents(1)
    ran = batchrun(PLAN)
    assert ran.code == ExitCode.USAGE
    assert 'error: unknown model "claude-nonesuch-9"\n  --> jobs/trial.toml:11:14\n' in ran.err


def test_it_never_sends(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    before = sorted(path for path in project.root.rglob("*") if path.is_file())
    assert batchrun(PLAN).code == ExitCode.OK
    assert not api.books.entries
    assert sorted(path for path in project.root.rglob("*") if path.is_file()) == before, "nor does it write"


def test_in_json(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(3)
    plan = batchrun(f"{PLAN} --json").json
    assert (plan["job"], plan["model"], plan["route"], plan["simulated"]) == (
        "trial", "claude-haiku-4-5", "stream", False,
    )  # fmt: skip
    kinds = {"new": 3, "changed": 0, "reusable": 0, "failed": 0, "too_large": 0, "empty": 0, "unreadable": 0}
    assert plan["documents"].items() >= ({"total": 3, "to_send": 3} | kinds).items()
    estimate = plan["estimate_usd"]
    assert estimate.keys() == {"mean", "low", "high", "confidence"}
    assert 0 < estimate["low"] < estimate["mean"] < estimate["high"] < 1
    assert estimate["confidence"] == 0.9
    assert (plan["budget_usd"], plan["spent_usd"], plan["ok"], plan["refused"]) == (1.0, 0.0, True, None)
    assert (plan["problems"], plan["notes"], plan["continues"]) == ([], {}, None)


@pytest.mark.slow
def test_after_a_run(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(run="max_concurrency = 1")
    project.documents(4)
    api.simulator.extend_script(["ok", "schema_violation"])
    batchrun("submit jobs/trial.toml")
    project.document("0000.txt", "changed")
    project.document("0009.txt", "new")
    documents = batchrun(f"{PLAN} --json").json["documents"]
    expected = {"total": 5, "to_send": 2, "new": 1, "changed": 1, "reusable": 2, "failed": 1, "changed_by_job_file": 0}
    assert documents.items() >= expected.items()
    assert "1 new · 1 changed · 2 done · 1 failed before" in batchrun(PLAN).out


@pytest.mark.slow
def test_a_changed_prompt_is_said_before_it_is_paid(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(3)
    batchrun("submit jobs/trial.toml")
    assert "nothing: there is nothing to send" in batchrun(PLAN).out
    project.job(prompt='user = "Another question: {{ doc.text }}"')
    assert "3 documents changed only because the job file did" in batchrun(PLAN).out
    assert batchrun(f"{PLAN} --json").json["documents"]["changed_by_job_file"] == 3
    ran = batchrun("submit jobs/trial.toml")
    assert "the job file changed: 3 documents" in ran.err
    assert len(api.books.entries) == 6


SELECTIONS = {
    "--limit": ("--limit 2", 2),
    "--id": ("--id docs/0001.txt --id docs/0003.txt", 2),
    "--source": ("--source '*/000[12]*'", 2),
    "--where": ("--where \"id > 'docs/0002.txt'\"", 1),
    "together": ("--source '*/000[12]*' --where \"id > 'docs/0001.txt'\"", 1),
    "nobody": ("--source '*.pdf'", 0),
}


@pytest.mark.slow
@pytest.mark.parametrize(("options", "count"), SELECTIONS.values(), ids=SELECTIONS)
def test_selection(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, options: str, count: int
) -> None:
    project.documents(4)
    assert batchrun(f"{PLAN} --json {options}").json["documents"]["to_send"] == count
    batchrun(f"submit jobs/trial.toml {options}")
    assert len(api.books.entries) == count, "submit selects what the plan said"


LONG = "word " * 3_000
"""Instructions whose worst case is less than twice their estimate."""
REFUSED = {
    "over the budget": (
        {"budget": "max_cost_usd = 0.0085", "prompt": f'cache = "off"\nsystem = "{LONG}"\nuser = "{{{{ doc.text }}}}"'},
        ["the estimate is above the budget. Nothing was sent.", "would fit  --limit 2", "raise budget.max_cost_usd"],
    ),
    "one fits the estimate, and its worst case does not": (
        {"budget": "max_cost_usd = 0.0005"},
        ["the estimate is above the budget. Nothing was sent.", "not even one document"],
    ),
    "not one fits": ({"budget": "max_cost_usd = 0.0001"}, ["not even one document"]),
    "too many": (
        {"budget": "max_cost_usd = 1\nmax_documents = 2"},
        ["3 documents would be sent, and budget.max_documents is 2. Nothing was sent.", "--limit 2"],
    ),
    "too large": (
        {"source": 'type = "files"\ninclude = ["docs/*.txt"]\nmax_document_tokens = 2'},
        ["3 documents are too large. Nothing was sent.", "docs/0000.txt: ", 'source.on_oversize = "skip"'],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("sections", "words"), REFUSED.values(), ids=REFUSED)
def test_refusals(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, sections: dict[str, str], words: list[str]
) -> None:
    project.job(**sections)
    project.documents(3)
    as_submit_does = f"{PLAN} --online 30"
    told = batchrun(as_submit_does)
    assert told.code == ExitCode.OK, "the plan itself is what was asked for"
    address, _, why = told.err.partition("\n")
    assert address == f"requests go to {api.base_url} (ANTHROPIC_BASE_URL)"
    assert why.startswith("refused: ")
    assert [word for word in words if word not in why] == []
    plan = batchrun(f"{as_submit_does} --json")
    assert plan.json["ok"] is False
    assert plan.json["refused"] in why.replace("refused: ", "")
    assert batchrun(f"{as_submit_does} --check").code == ExitCode.REFUSED
    checked = batchrun(f"{as_submit_does} --check --json")
    assert (checked.code, checked.json) == (ExitCode.REFUSED, plan.json)
    submitted = batchrun("submit jobs/trial.toml")
    assert submitted.code == ExitCode.REFUSED
    assert submitted.err.endswith(why)
    assert not api.books.entries


@pytest.mark.slow
def test_what_would_fit_fits(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(budget="max_cost_usd = 0.004")
    project.documents(30)
    fits = batchrun(f"{PLAN} --json").json["fits"]
    assert batchrun(f"{PLAN} --json --limit {fits}").json["ok"] is True
    assert batchrun(f"{PLAN} --json --limit {fits + 1}").json["ok"] is False


def test_the_budget_that_it_asks_for_is_enough(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(budget="max_cost_usd = 0.004")
    project.documents(30)
    found = re.search(r"raise budget.max_cost_usd to ([0-9.]+) or more", batchrun(PLAN).err)
    assert found
    project.job(budget=f"max_cost_usd = {found[1]}")
    assert batchrun(f"{PLAN} --check").code == ExitCode.OK


OPTIONS = [
    "--limit 1",
    "--simulate --limit 1",
    "--simulate=busy",
    "--where \"id > 'a'\" --source '*1.txt'",
    "--max-cost 0.5",
    "--id docs/0001.txt",
]


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS)
def test_what_it_says_to_type_can_be_typed(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, options: str
) -> None:
    project.documents(3)
    planned = batchrun(f"{PLAN} --json {options}").json
    *_, last = batchrun(f"{PLAN} {options}").out.splitlines()
    ran = batchrun(last.partition("batchrun ")[2], "--json", "--speed", "1000")
    assert ran.code == ExitCode.OK
    assert ran.events[-1]["sent"] == planned["documents"]["to_send"] > 0
    assert ran.events[-1]["simulated"] == planned["simulated"]


@pytest.mark.slow
def test_a_cap_below_one_worst_case_is_refused_before_anything_begins(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 8192', budget="max_cost_usd = 0.04")
    project.documents(3)
    told = batchrun(PLAN)
    assert "one of the requests may cost up to $0.04" in told.err
    assert "lower [model] max_tokens" in told.err
    planned = batchrun(f"{PLAN} --json").json
    assert (planned["ok"], planned["over_budget"], planned["fits"]) == (False, False, 0)
    assert batchrun("submit jobs/trial.toml").code == ExitCode.REFUSED
    assert not api.books.entries
    assert project.statuses() == {}
    found = re.search(r"raise budget.max_cost_usd to ([0-9.]+) or more", told.err)
    assert found
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 8192', budget=f"max_cost_usd = {found[1]}")
    assert batchrun(f"{PLAN} --check").code == ExitCode.OK


def test_an_id_that_no_document_has(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(1)
    ran = batchrun(f"{PLAN} --id docs/none.txt")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "no document has the id docs/none.txt" in ran.err


def test_an_unknown_price_is_refused(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(model='name = "claude-haiku-4.5"\nmax_tokens = 100')
    project.documents(1)
    ran = batchrun(PLAN)
    assert ran.code == ExitCode.USAGE
    assert 'error: unknown model "claude-haiku-4.5"\n --> jobs/trial.toml:9:8\n' in ran.err
    assert "did you mean claude-haiku-4-5?" in ran.err
    assert "add a [[model]] row" in ran.err


def test_max_cost_only_lowers(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(1)
    assert batchrun(f"{PLAN} --json --max-cost 0.5").json["budget_usd"] == 0.5
    assert batchrun(f"{PLAN} --json --max-cost 50").json["budget_usd"] == 1.0


def test_a_column_that_the_documents_have_not(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(prompt='user = "{{ doc.text }} {{ doc.customer }}"')
    project.documents(1)
    ran = batchrun(PLAN)
    assert ran.code == ExitCode.USAGE
    assert "doc.customer" in ran.err


@pytest.mark.parametrize("mean", ["1e308", "9" * 4000, "NaN", "Infinity", "null", '"1"', "[]", "true"])
@pytest.mark.parametrize("keys", [("estimate_usd",), ("routes", "stream", "estimate_usd"), ("tokens", "input")])
def test_an_earlier_plan_may_say_anything(
    project: TrialProject, batchrun: CommandLine, keys: tuple[str, ...], mean: str
) -> None:
    project.job()
    project.documents(1)
    changed = place = batchrun(f"{PLAN} --json").json
    for key in keys:
        place = place[key]
    place["mean"] = "MEAN"
    (project.root / "plan.json").write_text(json.dumps(changed).replace('"MEAN"', mean))

    compared = batchrun(f"{PLAN} --compare plan.json")

    assert compared.code in {ExitCode.OK, ExitCode.USAGE}
    assert "Traceback" not in compared.err


def test_an_earlier_plan_that_is_nested_too_deeply(project: TrialProject, batchrun: CommandLine) -> None:
    project.job()
    project.documents(1)
    (project.root / "plan.json").write_text("[" * 200_000)
    compared = batchrun(f"{PLAN} --compare plan.json")
    assert (compared.code, "is no JSON" in compared.err) == (ExitCode.USAGE, True)
