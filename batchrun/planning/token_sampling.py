"""A second look at some of the planned documents: to count their tokens, and to have Claude count a few requests."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from batchrun.budget.caps import Amount
from batchrun.estimation.calibration import Observation
from batchrun.estimation.estimate import RequestTokens
from batchrun.estimation.sampling import Counted, evenly, ratios, step_bytes, unsampled
from batchrun.estimation.text_class import TextClass
from batchrun.planning.api_lookups import CounterFactory, OnlineCounts, count_online
from batchrun.planning.plan_tokens import PlannedTokens
from batchrun.planning.request_template import RequestTemplate
from batchrun.planning.weighing import Prepare, Prepared, Wanted
from batchrun.request import Request


@dataclass(frozen=True, slots=True)
class Observed:
    """The requests that the API counted."""

    observations: Sequence[Observation]
    problem: str | None
    """Why the API did not count all requests; None if it did."""
    step: float = 0.0
    """How far apart the requests were drawn by their size, in cl100k tokens of all documents; 0 if all were counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSampler:
    """Reads documents of a plan again, and passes over documents that changed since."""

    planned: PlannedTokens
    prepare: Prepare
    page: int
    """How many documents are read at once."""
    template: RequestTemplate
    worst: Callable[[Request, RequestTokens], Amount]
    """Finds the most that a document's request may take."""

    def count_sample(self) -> dict[TextClass, float]:
        """Count a sample of the documents that were not counted, and guess the other documents from the sample.

        Returns the standard deviation of the guess, in cl100k tokens of each class.
        """
        uncounted = self.planned.uncounted_bytes()
        step = step_bytes(*map(sum, zip((0, 0, 0), *uncounted.values(), strict=True)))
        drawn = list(evenly(self.planned.uncounted(), step))
        sizes = self.planned.sizes(drawn)
        sample = [Counted(sizes[number], tokens.counted) for number, tokens in self.count(drawn)]
        found = ratios(sample, step)
        self.planned.guess(found)
        left = Counter({kind: total for kind, (_, total, _) in uncounted.items()})
        for one in sample:
            left[one.size.text_class] -= one.size.bytes
        return unsampled(left, found)

    def count(self, numbers: Iterable[int]) -> list[tuple[int, RequestTokens]]:
        """Count some documents. Returns their numbers with their tokens."""
        counted = []
        for planned_no, request, tokens in self._read(numbers):
            self.planned.set_counted(planned_no, tokens, self.worst(request, tokens))
            counted.append((planned_no, tokens))
        return counted

    async def observe(self, counter: CounterFactory, number: int, *, whole: float) -> Observed:
        """Have the API count about `number` requests, and the fixed part by itself if it can stand alone.

        `whole` is the fixed part with the whole form, as a multiple of the fixed part with the countable form.
        Where the two differ, nothing is learnt unless the fixed part was counted by itself.

        The requests are drawn in proportion to their cl100k tokens, so that the average of Claude's tokens per cl100k
        token is, over these requests, the average over the whole job.
        """
        documents = sum(1 for _ in self.planned.by_tokens())
        if not documents:
            return Observed((), None)
        total = sum(size for _, size in self.planned.by_tokens())
        step = max(total / number, 1.0) if documents > number else 0.0
        drawn = evenly(self.planned.by_tokens(), step) if step else (one for one, _ in self.planned.by_tokens())
        known, requests = [], []
        for _, request, tokens in self._read(drawn):
            known.append(tokens)
            requests.append(self.template.countable(request))
        if bare := self.template.bare_request():
            known.append(RequestTokens(0, TextClass.PROSE))
            requests.append(self.template.countable(bare))
        counts = await count_online(counter, requests)
        if whole == 1:
            return Observed(list(_observations(known, counts)), counts.problem, step)
        fixed = counts.tokens[-1] if bare else None
        added = (whole - 1) * (fixed or 0)
        return Observed(list(_observations(known, counts, round(added))) if fixed else (), counts.problem, step)

    def _read(self, numbers: Iterable[int]) -> Iterator[tuple[int, Request, RequestTokens]]:
        documents = self.planned.documents(numbers)
        for start in range(0, len(documents), self.page):
            some = documents[start : start + self.page]
            found = self.prepare([Wanted(one.ref, one.max_tokens, content_sha=one.content_sha) for one in some])
            for planned, prepared in zip(some, found, strict=True):
                if isinstance(prepared, Prepared) and prepared.tokens:
                    yield planned.planned_no, prepared.request, prepared.tokens


def _observations(known: Sequence[RequestTokens], counts: OnlineCounts, added: int = 0) -> Iterator[Observation]:
    for tokens, prompt_tokens in zip(known, counts.tokens, strict=True):
        if prompt_tokens is not None:
            yield Observation(tokens.text_class, tokens.counted, prompt_tokens + added)
