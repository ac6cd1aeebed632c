"""What is checked, and the result of a check."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from batchrun.catalog.price_table import PriceTable
from batchrun.cli.configured import configured
from batchrun.cli.find_run import place_of
from batchrun.errors import BatchrunError, Busy
from batchrun.estimation.text_class import TextClass
from batchrun.job.load import JobFile
from batchrun.job.providers import Providers
from batchrun.store.paths import store_paths
from batchrun.strategy.model_chain import ModelChain


class Verdict(StrEnum):
    """Whether a thing is in order."""

    OK = "ok"
    SKIPPED = "skipped"
    """Nobody has looked."""
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    verdict: Verdict
    words: str
    fix: str | None = None
    """The command, or the line of the job file, that mends the thing."""


@dataclass(slots=True)
class Subject:
    """What is checked, and what earlier checks found of it."""

    path: Path | None
    given_ledger: Path | None
    offline: bool
    today: date
    job: JobFile | None = None
    """The job. It is None if there is no job file, or none that can be read."""
    prices: PriceTable | None = None
    chain: ModelChain | None = None
    native: set[TextClass] = field(default_factory=set)
    """The kinds of documents that are sent as the files that they are."""
    wanted: Collection[str] = ()
    """The providers that the person names; none for those of the job, or for the default."""
    broken: set[str] = field(default_factory=set)
    """The names of the checks that found something broken."""

    @property
    def providers(self) -> Providers:
        """Who may answer."""
        return self.prices.providers if self.prices else Providers()

    @property
    def asked(self) -> Mapping[str, Sequence[str]]:
        """The providers that are asked, with the engine names of the job's models there.

        They are those that the person names, those of the job's models, or the default.
        """
        found = configured(self.providers, self.job if self.chain else None)
        names = self.wanted or [name for name, models in found.items() if models] or [self.providers.default]
        return {name: found.get(name, []) for name in names}

    @property
    def ledger(self) -> Path:
        """The path of the ledger: the one that the command names, the job's, or the project's."""
        job = store_paths(self.job, simulated=False).ledger if self.job else None
        return self.given_ledger or job or place_of(None, None).ledgers[0]


def checked(check: Callable[[Subject], Iterable[Check]], subject: Subject) -> Iterator[Check]:
    """Make a check. An error is a result too; a file that somebody uses just now is only warned about."""
    found: list[Check] = []
    try:
        found += check(subject)
    except BatchrunError as error:
        verdict = Verdict.WARNING if isinstance(error, Busy) else Verdict.BROKEN
        found.append(Check(check.__name__.replace("_", " "), verdict, str(error), error.hint))
    subject.broken |= {one.name for one in found if one.verdict is Verdict.BROKEN}
    yield from found
