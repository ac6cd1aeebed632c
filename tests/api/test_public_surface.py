"""The names that programs may rely on, their signatures, and what `import batchrun` costs."""

import inspect
import subprocess
import sys

import batchrun
from batchrun import errors

NAMES = [
    "Ambiguous", "BatchrunError", "Busy", "EnvironmentProblem", "Event", "ExitCode", "Job", "Outcome", "Plan",
    "Refused", "Run", "Stopped", "Submission", "Summary", "UsageProblem", "open",
]  # fmt: skip
MEMBERS = {
    "Job": ["compare", "evaluate", "from_dict", "name", "plan", "results", "run", "runs", "submit", "submit_sync"],
    "Run": ["exit_code", "halted", "id", "raise_for_status", "report", "results", "simulated", "summary"],
    "Submission": ["interrupt", "result"],
}
VALUES = {
    "Plan": {"cap_nusd", "chosen", "cost_usd", "documents", "estimate", "model", "refused", "simulated", "to_send"},
    "Summary": {"checks", "cost_usd", "exit_code", "gold", "halted", "job", "outcomes", "plan", "seconds", "totals"},
}
"""What the page tells of values, which have more."""
CHOICES = {"limit", "ids", "route", "deadline", "workers", "max_cost_usd", "retry"}
SIGNATURES = {
    "Job.from_dict": ["values", "root='.'", "documents=None"],
    "Job.plan": ["online=False", "simulate=False", "choices"],
    "Job.submit": ["wait=True", "simulate=False", "speed=20.0", "choices"],
    "Job.submit_sync": ["wait=True", "simulate=False", "speed=20.0", "choices"],
    "Job.run": ["word='last'"],
    "Job.runs": [],
    "Job.results": ["status='succeeded'", "simulate=False"],
    "Job.compare": ["old", "new='last'"],
    "Job.evaluate": ["run='last'", "against=None", "fail_under=None"],
    "Run.results": ["status='succeeded'"],
    "Run.raise_for_status": [],
    "Run.report": ["path=None"],
    "Submission.result": [],
}


def parameters(path: str) -> list[str]:
    """The parameters of a function, with their defaults and without types."""
    owner, _, name = path.rpartition(".")
    function = getattr(getattr(batchrun, owner) if owner else batchrun, name)
    found = inspect.signature(function).parameters.values()
    return [one.name + ("" if one.default is one.empty else f"={one.default!r}") for one in found if one.name != "self"]


def test_names() -> None:
    assert batchrun.__all__ == NAMES
    assert all(getattr(batchrun, name) is not None for name in NAMES)
    assert {*NAMES, "__version__"} <= {*dir(batchrun)}
    known = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert known <= {*NAMES}, "every exception of the errors is public"


def test_a_name_that_there_is_not() -> None:
    assert not hasattr(batchrun, "submit")


def test_members() -> None:
    for name, members in MEMBERS.items():
        assert [one for one in dir(getattr(batchrun, name)) if not one.startswith("_")] == members


def test_values() -> None:
    for name, members in VALUES.items():
        assert members <= {*dir(getattr(batchrun, name))}


def test_signatures() -> None:
    assert parameters("open") == ["path", "documents=None"]
    for path, expected in SIGNATURES.items():
        if isinstance(expected, list):
            assert parameters(path) == expected, path


def test_choices() -> None:
    from batchrun.api.job import Choices

    assert {*Choices.__annotations__} == CHOICES


def test_import_is_instant() -> None:
    said = "import sys, batchrun; print(*{'duckdb', 'anthropic', 'pydantic', 'asyncio', 'click'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_everything_public_is_documented() -> None:
    for name in ("Job", "Run", "Submission", "Plan", "Summary"):
        kind = getattr(batchrun, name)
        assert kind.__doc__
        for member in vars(kind):
            if not member.startswith("_") and (
                callable(getattr(kind, member)) or isinstance(vars(kind)[member], property)
            ):
                assert inspect.getdoc(getattr(kind, member)), f"{name}.{member}"
