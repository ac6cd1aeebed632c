"""What a job has to do without at the providers of its models: a sentence for each, and what cannot be done at all."""

from collections.abc import Iterator, Sequence

from batchrun.catalog.capabilities import ModelProblem
from batchrun.escaping import escape_control
from batchrun.job.spec import JobSpec
from batchrun.providers.capabilities import Capabilities
from batchrun.strategy.model_chain import ChainModel, ModelChain


def provider_notes(chain: ModelChain, *, asks_by_schema: bool) -> tuple[str, ...]:
    """Say what is done in another way because of the providers of a chain's models.

    `asks_by_schema` says whether the job asks for structured output.
    """
    able = [(model.provider, model.price.name, model.capabilities) for model in chain.models]
    notes = [
        (
            "no tokens are counted by {}: the estimate rests on what was measured for all jobs",
            [provider for provider, _, one in able if not one.counts_tokens],
        ),
        (
            "no rate limits are told by {}: [limits] says them, or answers of 429 teach the rate",
            [provider for provider, _, one in able if not one.limit_headers],
        ),
        (
            "no JSON Schema is taken by {}: the answer is asked for as a tool's input",
            [model for _, model, one in able if asks_by_schema and not one.structured_output],
        ),
    ]
    return tuple(note.format(", ".join(map(escape_control, dict.fromkeys(names)))) for note, names in notes if names)


def no_batches(able: Capabilities, model: str, *, requests: int = 0) -> str | None:
    """Say why requests to a model, if so many are known, cannot travel in batches. Returns None if they can."""
    if not able.batches:
        return f"the provider of {model} takes no batches here"
    if 0 < requests < able.min_batch_requests:
        return f"the provider of {model} takes batches of {able.min_batch_requests} requests or more"
    return None


def provider_problems(spec: JobSpec, chain: Sequence[ChainModel]) -> Iterator[ModelProblem]:
    """Yield what the providers of a chain's models refuse of a job, each with the key of [source] or [run]."""
    if spec.run.route == "batch" and (why := no_batches(chain[0].capabilities, chain[0].price.name)):
        yield ModelProblem("run.route", f'{why}; write route = "stream"')
    for model in chain:
        if getattr(spec.source, "pdf", "text") != "text" and not model.capabilities.pdf:
            yield ModelProblem("source.pdf", f'{model.price.name} takes no PDFs as they are; write pdf = "text"')
