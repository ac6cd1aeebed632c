"""Many fields in groups: what is paid in mode xml, where groups share the cached document, and in json_schema.

    python tests/benchmarks/groups.py [fields] [documents]

The documents are several contracts of the sample each. The usage is that of the simulator's books.
"""

import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

import _paths  # noqa: F401
from grouped_jobs import RATES, bill_nusd, grouped, mixed_fields, simulated
from trial_project import TrialProject

CONTRACTS = Path(__file__).resolve().parents[2] / "sample_data" / "contracts"
EACH = 4
"""How many contracts make a document: most contracts of the sample are shorter than what a model caches."""


def main() -> None:
    """Print a line for each mode, and xml as a share of json_schema."""
    fields, documents = (int(one) for one in (sys.argv[1:] + ["369", "6"][len(sys.argv) - 1 :]))
    files = [path.read_bytes() for path in sorted(CONTRACTS.glob("*.txt"))]
    texts = [file.decode("utf-8", "replace") for file in files if b"\0" not in file]
    print(f"{fields} fields, {documents} documents")
    print(
        f"{'mode':<12} {'requests':>8} {'input':>9} {'written':>8} {'read':>9} {'paid as input':>13} {'bill':>8}  plan"
    )
    paid = [measured(mode, cache, fields, list(islice(cycle(texts), documents * EACH))) for mode, cache in WAYS]
    print("xml / json_schema:  input {:.2f}, bill {:.2f}".format(*(paid[0][i] / paid[2][i] for i in (0, 1))))


WAYS = (("xml", "auto"), ("xml", "off"), ("json_schema", "auto"))


def measured(mode: str, cache: str, fields: int, texts: list[str]) -> tuple[float, float]:
    """Submit a job to a simulator. Returns the tokens that are paid at the price of input, and the bill."""
    with tempfile.TemporaryDirectory() as folder, simulated() as (server, factory):
        project = TrialProject(Path(folder))
        for number in range(0, len(texts), EACH):
            project.document(f"{number:04}.txt", "\n\n".join(texts[number : number + EACH]))
        prompt = f'cache = "{cache}"\nuser = "{{{{ doc.text }}}}"'
        grouped(project, mode, fields=mixed_fields(fields), prompt=prompt)  # type: ignore[arg-type]
        summary = project.submit(factory)  # type: ignore[arg-type]
        books = server.books.summary()
    written = books["cache_write_5m_tokens"] + books["cache_write_1h_tokens"]
    bill, plan = bill_nusd(books), summary.plan.estimate.cost_nusd
    paid = (bill - books["output_tokens"] * RATES.output) / RATES.input
    name = mode if cache == "auto" else f"{mode}, {cache}"
    print(
        f"{name:<12} {books['billed']:8,} {books['input_tokens']:9,} {written:8,} {books['cache_read_tokens']:9,}"
        f" {paid:13,.0f} {bill / 1e9:8.4f}  {plan.mean / bill:.2f} of the bill ({plan.low / bill:.2f} to"
        f" {plan.high / bill:.2f}); {summary.outcomes}"
    )
    return paid, float(bill)


if __name__ == "__main__":
    main()
