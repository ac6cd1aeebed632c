"""How long a dense document takes to be cut to its limit, by the length of the document.

    python tests/benchmarks/truncation.py

What is cut off is not counted, so a document of 8 MB should take about as long as one of 1 MB. While all of it was
counted, 1 MB took 2.2 s, 8 MB 43 s and 20 MB over 100 s.
"""

import random
import time

import _paths  # noqa: F401 - the path of what tests share

from batchrun.estimation.tokenizer import count_tokens, truncate

TOKENS = 150_000


def main() -> None:
    """Print a line for each length."""
    letters = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=20_000_000))
    count_tokens("the vocabulary is loaded")
    seconds = {}
    for megabytes in (1, 2, 8, 20):
        text = letters[: megabytes * 1_000_000]
        begin = time.process_time()
        truncate(text, TOKENS)
        seconds[megabytes] = time.process_time() - begin
        print(f"{megabytes:3} MB  {seconds[megabytes]:6.2f} s")
    print(f"8 MB against 1 MB: {seconds[8] / seconds[1]:.2f}")


if __name__ == "__main__":
    main()
