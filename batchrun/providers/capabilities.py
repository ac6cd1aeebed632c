"""What each type of provider can do, as far as jobs depend on it.

Sources: anthropic 2.14 and openai 3.57 as installed, and the vendors' pages on batches, token counting, structured
outputs and limits, looked at on 2026-11-29.
"""

from dataclasses import dataclass, replace

from batchrun.job.provider_sections import ProviderSection, ProviderType

MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a provider can do. What it cannot do is not offered, not asked for, and said in a plan."""

    batches: bool = True
    """Whether requests can travel in batches."""
    counts_tokens: bool = True
    """Whether the tokens of a request are counted free of charge."""
    limit_headers: bool = True
    """Whether answers report the rate limits. Otherwise answers of 429 teach the rate."""
    structured_output: bool = True
    """Whether an answer can be held to a JSON Schema. Otherwise a tool is called, or XML is asked for."""
    pdf: bool = True
    """Whether a PDF is taken as it is."""
    cache: bool = True
    """Whether a prefix can be marked for the prompt cache."""
    models_api: bool = True
    """Whether the provider tells the ends of models and what they take."""
    files: bool = True
    """Whether files can be uploaded, to be named in requests."""
    max_body: int = 32 * MB
    """The most bytes of one request."""
    min_batch_requests: int = 1
    """The fewest requests of one batch."""
    max_batch_requests: int = 100_000
    """The most requests of one batch."""
    max_batch_bytes: int = 256 * MB
    """The most bytes of one batch."""


FULL = Capabilities()
"""What the API of Anthropic can do."""
_STREAMS = replace(FULL, batches=False, files=False, models_api=False)
_CLOUD = replace(_STREAMS, limit_headers=False)
_OF_TYPE: dict[ProviderType, Capabilities] = {
    "anthropic": FULL,
    "aws": FULL,
    "google": FULL,
    "foundry": _STREAMS,
    # Bedrock's numbers of requests are quotas of a model in a region, and stand in an account's Service Quotas alone.
    "bedrock": replace(
        _CLOUD, counts_tokens=False, max_body=20 * MB, min_batch_requests=100, max_batch_requests=50_000
    ),
    "vertex": replace(_CLOUD, structured_output=False, max_body=30 * MB),  # an organization's policy has to allow it
    "openai": Capabilities(
        counts_tokens=False,
        cache=False,
        pdf=False,
        models_api=False,
        files=False,
        max_batch_requests=50_000,
        max_batch_bytes=190 * MB,
    ),
}
_UNSTRUCTURED_ON_BEDROCK = frozenset({"claude-haiku-5-5"})
"""The models that Bedrock does not hold to a schema, though the API of Anthropic does (Bedrock's model pages)."""


def capabilities_of(section: ProviderSection, row_name: str = "") -> Capabilities:
    """Return what a provider can do, with a model whose row in the table of prices has this name."""
    found = _OF_TYPE[section.type]
    if section.type == "openai" and section.is_elsewhere:
        # A compatible server has what everybody has, and what its owner says.
        found = replace(found, batches=False, limit_headers=False)
    if section.type in {"bedrock", "vertex"}:
        found = replace(found, batches=section.bucket is not None)
    if section.type == "bedrock" and row_name in _UNSTRUCTURED_ON_BEDROCK:
        found = replace(found, structured_output=False)
    if section.structured_output is not None:
        found = replace(found, structured_output=section.structured_output)
    if section.type in {"anthropic", "aws", "google", "openai"} and not found.structured_output:
        found = replace(found, batches=False)  # no result of a batch tells whether a tool was in the place of a schema
    return found
