"""Draws the picture of the house, batchrun/docs/house.svg, from the layers that import-linter enforces.

python tests/docs/house_picture.py      writes the picture anew
"""

import tomllib
from html import escape
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PICTURE = REPOSITORY / "batchrun" / "docs" / "house.svg"
WHAT = {
    "cli": "commands and what they print",
    "proof": "submits that are killed, and what must be true then",
    "api": "jobs, plans and runs for Python programs",
    "simulator": "a local API that behaves like the real one",
    "integrations": "metrics, traces, CI systems, notices",
    "report": "pictures and pages of a run",
    "workflow": "what commands do, without printing",
    "execution": "how requests travel: streams and batches",
    "leases": "caps that several hosts share",
    "planning": "read, weigh, count, ask the ledger",
    "quality": "labels, checks, comparing, tuning, review",
    "store": "the ledger and the output",
    "strategy": "decisions over values: route, caching, refusal",
    "statistics": "intervals and tests",
    "budget": "caps",
    "estimation": "tokens and dollars as intervals",
    "providers": "who answers: ports, and the API",
    "workers": "child processes that read",
    "documents": "files, formats, tables",
    "catalog": "models and prices",
    "job": "the job file, the prompt, the fields",
    "answers": "what a reply means",
    "events": "what is told of a run",
    "batch": "what a batch is",
    "masking": "secrets, made unseen",
}
"""What stands in each room. The single files of the ground floor are one room."""
PURE = {"strategy", "statistics", "budget", "estimation", "answers", "job", "catalog"}
WIDTH, FLOOR, GAP, SIDE = 860, 40, 6, 10
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1b1f24 } .name { font-weight: 600 }
  .what { fill: #57606a } rect { fill: #fff; stroke: #8c959f }
  .pure { stroke-width: 2.5; stroke: #0969a8 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .what { fill: #9da7b3 } rect { fill: #161b22; stroke: #6e7681 } .pure { stroke: #58a6ff }
  }
"""


def floors() -> list[list[str]]:
    """The rooms of each floor, the roof first."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    return [[name.strip().removeprefix("batchrun.") for name in row.split("|")] for row in layers]


def picture() -> str:
    """The whole picture. Floors whose rooms are single files without a line in `WHAT` are drawn as the ground."""
    rooms = [row for row in floors() if any(name in WHAT for name in row)]
    ground = [name for row in floors() for name in row if name not in WHAT]
    height = (len(rooms) + 1) * (FLOOR + GAP) + 2 * SIDE + 22
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t">',
        '<title id="t">The rooms of batchrun: each imports only what stands below it</title>',
        f"<style>{STYLE}</style>",
    ]
    for floor, row in enumerate(rooms):
        wide = (WIDTH - 2 * SIDE - GAP * (len(row) - 1)) / len(row)
        for number, name in enumerate(row):
            parts += _room(SIDE + number * (wide + GAP), SIDE + floor * (FLOOR + GAP), wide, name, WHAT[name])
    y = SIDE + len(rooms) * (FLOOR + GAP)
    parts += _room(SIDE, y, WIDTH - 2 * SIDE, "the words", ", ".join(ground))
    parts.append(
        f'<text class="what" x="{SIDE}" y="{y + FLOOR + 20}">thick border: pure, without files, network, clock'
        " or event loop</text>"
    )
    return "\n".join([*parts, "</svg>", ""])


def _room(x: float, y: float, wide: float, name: str, what: str) -> list[str]:
    kind = ' class="pure"' if name in PURE else ""
    return [
        f'<rect{kind} x="{x:g}" y="{y:g}" width="{wide:g}" height="{FLOOR}" rx="4"/>',
        f'<text class="name" x="{x + 10:g}" y="{y + 17:g}">{escape(name)}</text>',
        f'<text class="what" x="{x + 10:g}" y="{y + 33:g}">{escape(what)}</text>',
    ]


if __name__ == "__main__":
    PICTURE.write_text(picture(), "utf-8")
