"""What a job has to do without at the providers of its models: a sentence for each, and what cannot be done at all."""

from collections.abc import Iterator, Sequence

from batchrun.catalog.capabilities import ModelProblem
from batchrun.job.spec import JobSpec
from batchrun.providers.capabilities import Capabilities
from batchrun.strategy.model_chain import ChainModel, ModelChain


def provider_notes(chain: ModelChain, *, asks_by_schema: bool) -> tuple[str, ...]:
    """Say for each model of a chain what is done in another way because of the model's provider.

    `asks_by_schema` says whether the job asks for structured output.
    """
    found = [f"{model.price.name}: {words}" for model in chain.models for words in _notes(model, asks_by_schema)]
    return tuple(found)


def _notes(model: ChainModel, asks_by_schema: bool) -> Iterator[str]:  # noqa: FBT001 - the only caller is above
    able = model.capabilities
    if asks_by_schema and not able.structured_output:
        yield "no structured output here, so that the answer is asked for as the call of a tool"
    if not able.counts_tokens:
        yield "its provider counts no tokens: the estimate rests on what was measured for all jobs"
    if not able.limit_headers:
        yield "its provider reports no rate limits: [limits] says them, or answers of 429 teach the rate"


def no_batches(able: Capabilities, model: str, *, requests: int = 0) -> str | None:
    """Say why requests to a model, if so many are known, cannot travel in batches. Returns None if they can."""
    if not able.batches:
        return f"{model}: its provider takes no batches, or no bucket says where their files go"
    if 0 < requests < able.min_batch_requests:
        return f"{model}: its provider takes batches of {able.min_batch_requests} requests or more"
    return None


def provider_problems(spec: JobSpec, chain: Sequence[ChainModel]) -> Iterator[ModelProblem]:
    """Yield what the providers of a chain's models refuse of a job, each with the key of [source] or [run]."""
    if spec.run.route == "batch" and (why := no_batches(chain[0].capabilities, chain[0].price.name)):
        yield ModelProblem("run.route", f'{why}; write route = "stream"')
    for model in chain:
        if getattr(spec.source, "pdf", "text") != "text" and not model.capabilities.pdf:
            yield ModelProblem("source.pdf", f'{model.price.name} takes no PDFs as they are; write pdf = "text"')
