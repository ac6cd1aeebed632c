"""The mark of a document for the prompt cache, in the requests of all turns that ask about the document."""

from collections.abc import Mapping
from dataclasses import dataclass

from batchrun.answers.form import AnswerForm
from batchrun.answers.modes import MODES
from batchrun.answers.progress import Progress
from batchrun.answers.turns import shares_document
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.estimation.text_class import TextClass
from batchrun.providers.anthropic.wire import with_document_breakpoint
from batchrun.request import Request, Ttl
from batchrun.strategy.prompt_caching import least_cached


@dataclass(frozen=True, slots=True)
class DocumentMarking:
    """Marks the documents of one job on one route, in requests to one model."""

    form: AnswerForm
    ttl: Ttl
    least: Mapping[TextClass, int]
    """The cl100k tokens from which on a document of each class may be long enough for the model's cache."""

    @classmethod
    def to(cls, estimator: Estimator, form: AnswerForm, ttl: Ttl) -> "DocumentMarking":
        """Return how documents are marked in requests to the estimator's model."""
        least = least_cached(estimator.price.min_cacheable_tokens)
        return cls(form, ttl, estimator.least_counted(least, lambda prompt: prompt.high))

    def marked(self, request: Request, progress: Progress, tokens: RequestTokens) -> Request:
        """Mark the end of the document if other turns ask about it too; the request keeps its id."""
        if tokens.counted < self.least[tokens.text_class] or not shares_document(self.form, progress):
            return request
        fields = progress.turn.fields
        asking = MODES[self.form.mode].ask(self.form.only(fields) if fields else self.form, "auto")
        return with_document_breakpoint(request, asking.words, self.ttl)
