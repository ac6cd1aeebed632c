"""`batchrun plan`: the routes side by side, and `--compare` with an earlier plan."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine, Ran
from trial_project import TrialProject

from batchrun.catalog.money import DOLLAR, dollars
from batchrun.cli.views.plan_differences import Difference
from batchrun.errors import ExitCode

PLAN = "plan jobs/trial.toml"
RULES = "Quote the clause that fixes the rent and say whether it is paid in advance. " * 60
SONNET, HAIKU = "claude-sonnet-5-5", "claude-haiku-4-5"


def write_job(project: TrialProject, *, model: str = SONNET, route: str = "auto", cache: str = "auto") -> None:
    """A job whose prompt begins with about a thousand tokens, which Sonnet caches and Haiku 4.5 does not."""
    project.job(
        model=f'name = "{model}"\nmax_tokens = 400',
        prompt=f'cache = "{cache}"\nsystem = "{RULES}"\nuser = "{{{{ doc.text }}}}"',
        run=f'max_concurrency = 4\nroute = "{route}"',
        budget="max_cost_usd = 5.0",
    )


def earlier(project: TrialProject, batchrun: CommandLine) -> Path:
    """What `plan --json > plan.json` leaves behind."""
    path = project.root / "plan.json"
    path.write_text(batchrun(f"{PLAN} --json").out)
    return path


# --- the routes

ROUTES: dict[str, tuple[dict[str, str], int, list[str], str]] = {
    "auto": ({}, 120, ["stream", "stream+cache", "batch", "batch+cache"], "batch+cache"),
    "streamed": ({"route": "stream"}, 120, ["stream", "stream+cache", "batch", "batch+cache"], "stream+cache"),
    "batched": ({"route": "batch"}, 120, ["stream", "stream+cache", "batch", "batch+cache"], "batch+cache"),
    "batched, not cached": (
        {"route": "batch", "cache": "off"}, 120, ["stream", "stream+cache", "batch", "batch+cache"], "batch",
    ),
    "one document": ({}, 1, ["stream", "stream+cache", "batch", "batch+cache"], "stream"),
    "too short to be cached": ({"model": HAIKU}, 120, ["stream", "batch"], "batch"),
    "too short, and told to": ({"model": HAIKU, "cache": "5m", "route": "stream"}, 3, ["stream", "batch"], "stream"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("job", "documents", "names", "chosen"), ROUTES.values(), ids=ROUTES)
def test_the_routes_side_by_side(
    project: TrialProject, batchrun: CommandLine, job: dict[str, str], documents: int, names: list[str], chosen: str
) -> None:
    write_job(project, **job)
    project.documents(documents)

    lines = batchrun(PLAN).out.splitlines()
    told = batchrun(f"{PLAN} --json").json

    start = next(no for no, line in enumerate(lines) if re.match(r"[> ] stream ", line))
    table = lines[start : start + len(names)]
    assert [line[2:].split()[0] for line in table] == names == list(told["routes"])
    assert [line.startswith("> ") for line in table] == [name == chosen for name in names]
    assert not re.match(r"[> ] (stream|batch)", lines[start + len(names)])
    assert told["chosen"] == chosen
    assert lines[start + len(names)] == f"route    {chosen}: {told['route_reason']}"
    for name, line in zip(names, table, strict=True):
        route = told["routes"][name]
        assert re.search(r" \$[0-9.]+   \(90%: \$[0-9.]+ to \$[0-9.]+\)   ", line)
        assert f" {dollars(route['estimate_usd']['mean'] * DOLLAR)}   " in line
        assert (route["cache"] is not None) == name.endswith("+cache")
        ends = f"; the limit is {route['binding']}" if name.startswith("stream") else ", at most 24 h"
        assert line.endswith(ends)


def beginning(ran: Ran, word: str) -> list[str]:
    return [line for line in ran.out.splitlines() if line.startswith(word)]


@pytest.mark.slow
def test_limits_are_those_of_a_stream(project: TrialProject, batchrun: CommandLine) -> None:
    write_job(project)
    project.documents(3)

    [line] = beginning(batchrun(f"{PLAN} --route stream"), "limits")

    assert line == "limits   600,000 requests, 900.00M input, 900.00M output tokens a minute: job file"
    assert not beginning(batchrun(f"{PLAN} --route batch"), "limits")


def test_limits_that_nobody_stated(project: TrialProject, batchrun: CommandLine) -> None:
    project.job(limits="headroom = 0.9")
    project.documents(3)

    [line] = beginning(batchrun(PLAN), "limits")

    assert line.endswith("2.00M input, 400.0k output tokens a minute: published Start tier")


@pytest.mark.slow
def test_what_the_cache_saves(project: TrialProject, batchrun: CommandLine) -> None:
    write_job(project, route="stream")
    project.documents(100)

    ran, told = batchrun(PLAN), batchrun(f"{PLAN} --json").json

    lines = ran.out.splitlines()
    [line] = beginning(ran, "cache")
    assert line == f"cache    for 5m: {told['cache']['reason']}"
    assert "when 99% of the requests read them" in line
    costs = {name: route["estimate_usd"]["mean"] for name, route in told["routes"].items()}
    saved = costs["stream"] - costs["stream+cache"]
    assert lines[lines.index(line) + 1] == (
        f"         saves about ${saved:.4f}; the cache saves money from 2 requests on,"
        " if more than 21% of them read from it"
    )


def test_a_cache_that_does_not_pay_and_is_told_to(project: TrialProject, batchrun: CommandLine) -> None:
    write_job(project, route="stream", cache="1h")
    project.documents(1)

    ran = batchrun(PLAN)

    assert "although it takes 3 requests to pay, and there is 1" in ran.out
    told = r"\n {9}costs about \$[0-9.]+ more; the cache saves money from 3 requests on, if more than 51% of"
    assert re.search(told, ran.out)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"cache": "off"}, "off: [prompt] cache is off"),
        ({"model": HAIKU}, "off: what all requests begin with is at most "),
        ({"model": HAIKU, "cache": "5m"}, "for 5m: as [prompt] cache says, although what all requests begin with is"),
    ],
)
def test_no_saving_is_told_where_nothing_is_cached(
    project: TrialProject, batchrun: CommandLine, job: dict[str, str], words: str
) -> None:
    write_job(project, **job)
    project.documents(3)

    ran = batchrun(PLAN)

    [line] = beginning(ran, "cache")
    assert line.startswith(f"cache    {words}")
    assert "saves money from" not in ran.out


# --- compared with itself


@pytest.mark.slow
def test_nothing_is_different(project: TrialProject, batchrun: CommandLine) -> None:
    write_job(project, model="claude-sonnet-4-6")
    project.documents(120)
    path = earlier(project, batchrun)

    before, ran = batchrun(PLAN).out, batchrun(f"{PLAN} --compare plan.json")

    assert (ran.code, ran.err) == (ExitCode.OK, "")
    assert ran.out.startswith(before)
    head, *lines = ran.out.removeprefix(before).splitlines()
    assert head == "compared with plan.json"
    assert [line[2:20].rstrip() for line in lines] == [
        "model", "prompt and output", "documents to send", "input tokens", "output tokens", "route", "cost",
        "at most, at 90%", "  stream", "  stream+cache", "  batch", "  batch+cache", "prices of",
    ]  # fmt: skip
    assert all(line.endswith(", as before") for line in lines)
    plan = json.loads(path.read_text())
    told = batchrun(f"{PLAN} --compare plan.json --json").json
    compared = told.pop("compare")
    assert told == plan
    assert all(one["before"] == one["now"] and not one["change"] for one in compared.values())
    assert compared["cost_usd"] == {"before": plan["estimate_usd"]["mean"], "now": plan["estimate_usd"]["mean"],
                                    "change": 0.0}  # fmt: skip


@pytest.mark.slow
def test_a_plan_that_was_compared_can_be_compared_with(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(3)
    earlier(project, batchrun)
    (project.root / "second.json").write_text(batchrun(f"{PLAN} --compare plan.json --json").out)

    assert batchrun(f"{PLAN} --compare second.json").code == ExitCode.OK


# --- compared with another


@pytest.mark.slow
def test_what_is_different_in_words(project: TrialProject, batchrun: CommandLine) -> None:
    write_job(project, route="stream", cache="off")
    project.documents(100)
    earlier(project, batchrun)
    write_job(project, route="batch", cache="off", model="claude-opus-5-5")

    lines = batchrun(f"{PLAN} --compare plan.json --limit 50").out.split("compared with plan.json\n")[1].splitlines()

    words = {line[2:20].strip(): line[22:] for line in lines}
    assert words["model"] == "claude-sonnet-5-5 -> claude-opus-5-5"
    assert re.fullmatch("[0-9a-f]{12} -> [0-9a-f]{12}", words["prompt and output"])
    assert words["documents to send"] == "100 -> 50   (-50.0%)"
    assert words["input tokens"].endswith("   (-50.0%)")
    assert words["route"] == "stream -> batch"
    # Twice the price for half of the documents, and half of that in batches; how long a model's replies are is guessed.
    before, now = (float(usd) for usd in re.findall(r"\$([0-9.]+)", words["cost"]))
    assert words["cost"] == f"${before:.4f} -> ${now:.4f}   ({now / before - 1:+.1%})"
    assert 0.3 < now / before < 0.7
    assert words["prices of"] == "2026-11-20, as before"


@pytest.mark.slow
def test_what_is_different_for_programs(project: TrialProject, batchrun: CommandLine) -> None:
    write_job(project)
    project.documents(120)
    before = json.loads(earlier(project, batchrun).read_text())
    write_job(project, model=HAIKU)

    now = batchrun(f"{PLAN} --compare plan.json --json").json

    compared = now["compare"]
    assert compared["model"] == {"before": SONNET, "now": HAIKU, "change": None}
    assert compared["fingerprint"]["before"] == before["fingerprint"] != now["fingerprint"]
    assert compared["route"] == {"before": "batch+cache", "now": "batch", "change": None}
    assert compared["to_send"] == {"before": 120, "now": 120, "change": 0.0}
    for name in ("stream", "batch"):
        was, is_ = (plan["routes"][name]["estimate_usd"]["mean"] for plan in (before, now))
        assert compared[f"{name}_usd"] == {"before": was, "now": is_, "change": pytest.approx(is_ / was - 1, abs=1e-6)}
    assert "stream+cache_usd" not in compared, "Haiku caches nothing so short"


@pytest.mark.slow
def test_nothing_to_send_before_and_now(project: TrialProject, batchrun: CommandLine) -> None:
    project.document("empty.txt", "")
    earlier(project, batchrun)
    assert "documents to send   0, as before" in batchrun(f"{PLAN} --compare plan.json").out
    project.documents(2)

    ran = batchrun(f"{PLAN} --compare plan.json")

    assert "documents to send   0 -> 2\n" in ran.out, "no share of nothing"
    told = batchrun(f"{PLAN} --compare plan.json --json").json["compare"]
    assert told["to_send"] == {"before": 0, "now": 2, "change": None}


def test_a_plan_that_is_refused_is_compared_too(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(3)
    earlier(project, batchrun)

    ran = batchrun(f"{PLAN} --compare plan.json --max-cost 0.0001 --check")

    assert ran.code == ExitCode.REFUSED
    assert "documents to send   3, as before" in ran.out


# --- what is no plan


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    def text(plan: str) -> str:
        fields = json.loads(plan)
        change(fields)
        return json.dumps(fields)

    return text


def without(*place: str) -> Callable[[str], str]:
    *way, last = place

    def change(plan: dict[str, Any]) -> None:
        for key in way:
            plan = plan[key]
        del plan[last]

    return changed(change)


NO_PLANS: dict[str, tuple[Callable[[str], str], str]] = {
    "nothing in it": (lambda _: "", "the earlier plan plan.json is no JSON: "),
    "no JSON": (lambda _: "trial: 3 documents", "the earlier plan plan.json is no JSON: "),
    "half of it": (lambda plan: plan[: len(plan) // 2], "the earlier plan plan.json is no JSON: "),
    "nothing but brackets": (lambda _: "[" * 200_000, "the earlier plan plan.json is no JSON: "),
    "a list": (lambda plan: f"[{plan}]", "plan.json is no plan of `batchrun plan --json`."),
    "a number": (lambda _: "1", "plan.json is no plan of `batchrun plan --json`."),
    "another object": (lambda _: "{}", "plan.json is no plan of `batchrun plan --json`."),
    "a later form": (changed(lambda plan: plan.update(v=2)), "plan.json is no plan of `batchrun plan --json`."),
    "another job": (
        changed(lambda plan: plan.update(job="other\x1b[2J")),
        'plan.json is a plan of the job "other\\x1b[2J", and this is "trial".',
    ),
    "no job": (without("job"), 'plan.json is a plan of the job "None", and this is "trial".'),
    "older, without routes": (without("routes"), "of another version of batchrun: it has no routes."),
    "older, without the chosen one": (without("chosen"), "of another version of batchrun: it has no chosen."),
    "without a model": (without("model"), "it has no model."),
    "without prices": (without("prices"), "it has no prices.date."),
    "without documents": (without("documents", "to_send"), "it has no documents.to_send."),
    "without a mean": (without("tokens", "input", "mean"), "it has no tokens.input.mean."),
    "without a route's cost": (without("routes", "batch", "estimate_usd"), "no routes.batch.estimate_usd.mean."),
    "a word for a number": (
        changed(lambda plan: plan["documents"].update(to_send="three")),
        "it has no number in documents.to_send.",
    ),
    "nothing for a number": (
        changed(lambda plan: plan["estimate_usd"].update(mean=None)),
        "it has no number in estimate_usd.mean.",
    ),
    "no number": (
        changed(lambda plan: plan["estimate_usd"].update(mean=float("nan"))),
        "it has no number in estimate_usd.mean.",
    ),
    "more than there is": (
        changed(lambda plan: plan["documents"].update(to_send=10**400)),
        "it has no number in documents.to_send.",
    ),
    "a list for a word": (changed(lambda plan: plan.update(model=["a"])), "it has no text in model."),
    "a list for fields": (changed(lambda plan: plan.update(tokens=[1])), "it has no tokens.input.mean."),
}


@pytest.mark.parametrize(("change", "words"), NO_PLANS.values(), ids=NO_PLANS)
def test_what_is_no_plan_of_this_job(
    project: TrialProject, batchrun: CommandLine, change: Callable[[str], str], words: str
) -> None:
    project.documents(3)
    path = earlier(project, batchrun)
    path.write_text(change(path.read_text()))

    ran, told = (batchrun(f"{PLAN} --compare plan.json {form}") for form in ("", "--json"))

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert words in ran.err
    assert "batchrun plan jobs/trial.toml --output=plan.json" in ran.err
    assert (told.code, told.json["code"]) == (ExitCode.USAGE, "UsageProblem")
    assert words in told.json["message"]


def test_a_file_that_cannot_be_read(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(1)
    missing = batchrun(f"{PLAN} --compare nowhere.json")
    assert (missing.code, missing.out) == (ExitCode.USAGE, "")
    assert "the earlier plan nowhere.json cannot be read: " in missing.err
    (project.root / "latin.json").write_bytes('{"v": 1, "job": "Müller"}'.encode("latin-1"))
    assert "the earlier plan latin.json cannot be read: " in batchrun(f"{PLAN} --compare latin.json").err
    assert batchrun(f"{PLAN} --compare docs").code == ExitCode.USAGE


def test_what_an_earlier_plan_says_cannot_command_a_terminal(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(1)
    path = earlier(project, batchrun)
    path.write_text(changed(lambda plan: plan.update(model="\x1b[2Jclaude\nother"))(path.read_text()))

    ran = batchrun(f"{PLAN} --compare plan.json")

    assert "  model               \\x1b[2Jclaude\\nother -> claude-haiku-4-5\n" in ran.out


# --- one difference

WORDS = {
    "the same": (Difference("a", "label", 3, 3), "label               3, as before"),
    "more": (Difference("a", "label", 4, 5), "label               4 -> 5   (+25.0%)"),
    "less": (Difference("a", "label", 5.0, 4.0), "label               5.0 -> 4.0   (-20.0%)"),
    "from nothing": (Difference("a", "label", 0, 4), "label               0 -> 4"),
    "to nothing": (Difference("a", "label", 4, 0), "label               4 -> 0   (-100.0%)"),
    "too little to be seen": (
        Difference("a", "label", 1.001, 1.002, "{:.1f}".format), "label               1.0, as before",
    ),
    "words": (Difference("a", "label", "one", "two"), "label               one -> two"),
}  # fmt: skip


@pytest.mark.parametrize(("difference", "words"), WORDS.values(), ids=WORDS)
def test_a_difference_in_words(difference: Difference, words: str) -> None:
    assert difference.words == words
