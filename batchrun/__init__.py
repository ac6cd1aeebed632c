"""A batch document-processing job runner for Claude.

Planning is free and pure, executing costs money, and the store is the only memory. The names of the Python API are
imported when they are asked for: `import batchrun` is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchrun.api.job import Job, open  # noqa: A004 - batchrun.open is what everybody types
    from batchrun.api.run import Run
    from batchrun.api.shown import Plan, Summary
    from batchrun.api.submission import Submission
    from batchrun.errors import Ambiguous, BatchrunError, Busy, EnvironmentProblem, ExitCode, Refused, Stopped
    from batchrun.errors import UsageProblem as UsageProblem
    from batchrun.events import Event
    from batchrun.outcome import Outcome

__version__ = "0.1.0"
__all__ = [
    "Ambiguous", "BatchrunError", "Busy", "EnvironmentProblem", "Event", "ExitCode", "Job", "Outcome", "Plan",
    "Refused", "Run", "Stopped", "Submission", "Summary", "UsageProblem", "open",
]  # fmt: skip
_HOMES = {"Job": "api.job", "open": "api.job", "Run": "api.run", "Plan": "api.shown", "Summary": "api.shown",
          "Submission": "api.submission", "Event": "events", "Outcome": "outcome"}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a name of the API. Raises AttributeError."""
    if name not in __all__:
        raise AttributeError(f"module 'batchrun' has no attribute {name!r}")
    return getattr(import_module(f"batchrun.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
