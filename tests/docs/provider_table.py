"""Writes the table of capabilities into batchrun/docs/providers.md, from the capabilities that the program goes by.

python tests/docs/provider_table.py      writes the table anew
"""

import re
from pathlib import Path

from batchrun.job.provider_sections import ProviderSection
from batchrun.providers.capabilities import capabilities_of

PAGE = Path(__file__).parents[2] / "batchrun" / "docs" / "providers.md"
HEADING = "## What each can do\n"
SECTIONS = {
    "anthropic, aws, google": ProviderSection(),
    "foundry": ProviderSection(type="foundry"),
    "bedrock": ProviderSection(type="bedrock", bucket="s3://bucket", role="role"),
    "vertex": ProviderSection(type="vertex", bucket="gs://bucket"),
    "openai": ProviderSection(type="openai"),
    "openai with base_url": ProviderSection(type="openai", base_url="http://localhost:8080/v1"),
}
"""The columns. `anthropic`, `aws` and `google` can do the same; a test holds that."""
ROWS = {
    "batches": "batches, at half the price",
    "counts_tokens": "counts tokens, free of charge",
    "limit_headers": "reports the rate limits",
    "structured_output": "holds answers to a schema",
    "pdf": "takes PDFs as they are",
    "cache": "a prompt cache that can be marked",
    "models_api": "tells of its models",
    "files": "keeps uploaded files",
}


def table() -> str:
    """The table of Markdown."""
    found = {name: capabilities_of(section) for name, section in SECTIONS.items()}
    lines = [["", *found], ["---"] * (len(found) + 1)]
    lines += [
        [words, *("yes" if getattr(able, key) else "no" for able in found.values())] for key, words in ROWS.items()
    ]
    lines.append(["largest request", *(f"{able.max_body // 10**6} MB" for able in found.values())])
    sizes = (
        f"{able.min_batch_requests:,} to {able.max_batch_requests:,}" if able.batches else "no"
        for able in found.values()
    )
    lines.append(["requests of a batch", *sizes])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def page() -> str:
    """The page with the table as it should be."""
    before, _, after = PAGE.read_text("utf-8").partition(HEADING)
    return before + HEADING + re.sub(r"^\|.*\|\n(?:\|.*\|\n)+", lambda _: table(), after, count=1, flags=re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
