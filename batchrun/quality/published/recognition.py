"""Which published benchmark a folder has. A further benchmark is a file, and one entry of `BENCHMARKS`."""

from pathlib import Path

from batchrun.errors import UsageProblem
from batchrun.escaping import shown_path
from batchrun.quality.published import cuad, extract_bench, kleister
from batchrun.quality.published.benchmark import Benchmark

BENCHMARKS = (kleister, cuad, extract_bench)


def read_benchmark(folder: Path) -> Benchmark:
    """Read the benchmark that a folder has. Raises UsageProblem for a folder with none, and for broken files."""
    for known in BENCHMARKS:
        if known.looks_like(folder):
            found: Benchmark = known.read(folder)
            return found
    if any(any(folder.glob(f"{place}*/*/pdf+gold")) for place in ("", "dataset/")):
        raise UsageProblem(
            "this is the ExtractBench of Contextual AI, in which a model judges 115 of the 157 configured fields: it has"
            " no score without that model.",
            hint="take the ExtractBench of LlamaIndex, or write a job and labels: batchrun docs bench",
        )
    raise UsageProblem(
        f"{shown_path(folder)} has no benchmark in a form that is known here.",
        hint="; ".join(one.LOOKS for one in BENCHMARKS),
    )
