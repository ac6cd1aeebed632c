"""The words of the API's JSON, headers and paths stand in `providers/` and `simulator/` alone."""

import re
from pathlib import Path

import pytest

import batchrun

PACKAGE = Path(batchrun.__file__).parent
WORDS = ("cache_control", "ephemeral", "output_config", "json_schema", "custom_id", "anthropic-", "/v1/")
WORD = re.compile("|".join(map(re.escape, WORDS)), re.IGNORECASE)
AT_HOME = {"providers", "simulator"}
MESSAGES = [
    ("cli/views/batch_text.py", "with unknown or repeated custom_ids ignored"),
    ("execution/failure_messages.py", "look at them in the Console (custom_ids of ours begin with"),
    (
        "execution/failure_messages.py",
        "was found in the list and taken for ours, and no custom_id of its results proves it.",
    ),
    ("execution/batch/find_lost.py", "the custom_ids of their results will tell"),
    ("answers/form.py", 'ModeName = Literal["json_schema", "tool", "xml", "text"]'),
    ("answers/form.py", 'DEFAULT_MODE: ModeName = "json_schema"'),
    ("documents/buckets.py", "{server}/storage/v1/b/"),
]
"""Messages that send a person to the Console, where batches are told apart by this word of the API, the words of the
job file that are the API's words too, and the path of another API: Google's for files."""
PYDANTIC = re.compile(r"json_schema_input_type|model_json_schema|pydantic\.json_schema")
"""Names of pydantic's with such a word."""


def abroad() -> dict[str, str]:
    """The sources outside the two folders, without the messages that may have such a word."""
    sources = {
        str(path.relative_to(PACKAGE)): PYDANTIC.sub("", path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in AT_HOME
    }
    for name, message in MESSAGES:
        sources[name] = sources[name].replace(message, "")
    return sources


def test_only_providers_and_the_simulator_know_the_words_of_the_api() -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in abroad().items()
        for number, line in enumerate(text.splitlines(), 1)
        if WORD.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_one_that_the_providers_use(word: str) -> None:
    sources = [path.read_text("utf-8") for path in (PACKAGE / "providers").rglob("*.py")]
    assert any(word in source for source in sources)


@pytest.mark.parametrize(("name", "message"), MESSAGES)
def test_every_exception_is_still_needed(name: str, message: str) -> None:
    assert message in (PACKAGE / name).read_text("utf-8")
