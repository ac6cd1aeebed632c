"""Token counting by tiktoken's cl100k_base, from the package's own data, so that counting works offline everywhere.

Claude's tokenizers are not public: these counts are a proxy, from which Claude's tokens are estimated.
"""

import binascii
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from batchrun.errors import EnvironmentProblem

if TYPE_CHECKING:
    import tiktoken

_VOCABULARY = "cl100k_base.tiktoken"
VOCABULARY_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_SPLIT = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
"""The pattern by which cl100k_base cuts a text before merging bytes, as tiktoken defines the encoding."""
LONG_TEXT = 1_000_000
"""A text with more characters than this is encoded only as far as the cut needs."""
SETTLED = 4_096
"""So many tokens before its end, the encoding of a beginning is the encoding of the whole text: what follows decides
how the last word is split, and which of its bytes are merged, and both decisions reach back a few tokens."""


def count_tokens(text: str) -> int:
    """Count cl100k_base tokens. Special tokens such as `<|endoftext|>` are ordinary text here."""
    return len(_encoding().encode_ordinary(text))


def truncate(text: str, tokens: int) -> str:
    """Give the longest beginning of the text, cut where a token ends, that has at most `tokens` tokens.

    No character is torn. Lone surrogates, which are no text, become U+FFFD if the text is cut.
    """
    encoded = _first_tokens(text, tokens)
    if len(encoded) <= tokens:
        return text
    for kept in range(tokens, 0, -1):
        try:
            return _encoding().decode_bytes(encoded[:kept]).decode()
        except UnicodeDecodeError:  # the cut is inside a character
            continue
    return ""


def _first_tokens(text: str, tokens: int) -> list[int]:
    """Encode a text, or more than the first `tokens` tokens of a long text: a word of megabytes takes many seconds."""
    size = max(LONG_TEXT, 2 * tokens)
    while size < len(text):
        encoded = _encoding().encode_ordinary(text[:size])
        if len(encoded) > tokens + SETTLED:
            return encoded
        size *= 2
    return _encoding().encode_ordinary(text)


@cache
def _encoding() -> "tiktoken.Encoding":
    import tiktoken

    # Constructed directly: `get_encoding` would download the table or look for it in a shared cache directory.
    return tiktoken.Encoding(
        "cl100k_base", pat_str=_SPLIT, mergeable_ranks=_ranks(_read_vocabulary()), special_tokens={}
    )


def _read_vocabulary() -> bytes:
    path = files("batchrun.vocabulary") / _VOCABULARY
    reinstall = "install batchrun again, from the folder or the wheel that it came from"
    try:
        table = path.read_bytes()
    except OSError as error:
        raise EnvironmentProblem(f"the tokenizer's vocabulary cannot be read: {error}", hint=reinstall) from error
    if hashlib.sha256(table).hexdigest() != VOCABULARY_SHA256:
        raise EnvironmentProblem(f"the tokenizer's vocabulary is damaged: {path}", hint=reinstall)
    return table


def _ranks(table: bytes) -> dict[bytes, int]:
    """Read the lines of the table: a token in base64, and its rank, which is the number of the line."""
    return {binascii.a2b_base64(word): rank for rank, word in enumerate(table.split()[::2])}
