"""How long it takes to find a quote, beside rapidfuzz if rapidfuzz is installed, or else beside difflib.

    python tests/benchmarks/evidence.py

The documents are made contracts of 10,000, 100,000 and 1,000,000 characters. The rivals only find the likest stretch:
they do not judge what differs. The last column says how many times longer batchrun takes for a quote that lacks a word.
"""

import importlib.util
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path

from batchrun.answers.evidence.index import DocumentIndex
from batchrun.answers.evidence.locate import locate

sys.path.insert(0, str(Path(__file__).parents[1] / "answers" / "evidence"))

from made_contracts import Style, made_contract, printed

SIZES = (10_000, 100_000, 1_000_000)
QUOTES = 30
RIVAL_QUOTES = 3


def main() -> None:
    """Print a line for each size of document."""
    name, rival = _rival()
    print(
        f"{'characters':>10} {'index':>8} {'exact':>8} {'word less':>9} {'invented':>9} {name:>10} {'ratio':>8}   (ms)"
    )
    for size in SIZES:
        print(f"{size:10,} {_line(size, rival)}")


def _line(size: int, rival: Callable[[str, str], object]) -> str:
    text, words = _document(size)
    begin = time.perf_counter()
    index = DocumentIndex(text)
    indexed = (time.perf_counter() - begin) * 1_000
    shorter = list(_shorter(words))
    times = [
        _median(partial(locate, index), quotes) for quotes in (list(_exact(words)), shorter, list(_invented(words)))
    ]
    other = _median(lambda quote: rival(quote, text), shorter[:RIVAL_QUOTES])
    return f"{indexed:8.1f} {times[0]:8.2f} {times[1]:9.2f} {times[2]:9.2f} {other:10.2f} {times[1] / other:8.2f}"


def _document(size: int) -> tuple[str, list[str]]:
    contract = made_contract(size, clauses=size // 250)
    text = printed(contract, Style()).text
    return text, [word for paragraph in contract.paragraphs for word in paragraph]


def _stretches(words: list[str]) -> Iterator[list[str]]:
    draw = random.Random(len(words))
    for _ in range(QUOTES):
        first = draw.randrange(len(words) - 30)
        yield words[first : first + draw.randint(10, 30)]


def _exact(words: list[str]) -> Iterator[str]:
    yield from (" ".join(stretch) for stretch in _stretches(words))


def _shorter(words: list[str]) -> Iterator[str]:
    yield from (" ".join((*stretch[:5], *stretch[6:])) for stretch in _stretches(words))


def _invented(words: list[str]) -> Iterator[str]:
    draw = random.Random(len(words))
    yield from (" ".join(draw.sample(words, 20)) for _ in range(QUOTES))


def _rival() -> tuple[str, Callable[[str, str], object]]:
    if importlib.util.find_spec("rapidfuzz"):
        return "rapidfuzz", importlib.import_module("rapidfuzz.fuzz").partial_ratio_alignment
    return "difflib", lambda quote, text: SequenceMatcher(None, text, quote, autojunk=False).find_longest_match()


def _median(find: Callable[[str], object], quotes: list[str]) -> float:
    times = []
    for quote in quotes:
        begin = time.perf_counter()
        find(quote)
        times.append((time.perf_counter() - begin) * 1_000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
