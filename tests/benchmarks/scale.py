"""How long reading and sending take, on one machine and on a cluster: a simulation over measured figures.

    python tests/benchmarks/scale.py              print the tables of docs/scale.md
    python tests/benchmarks/scale.py --renew      write the tables into docs/scale.md
    python tests/benchmarks/scale.py --measure    measure the figures of `KINDS` on this machine

What is measured is the work of one core for one document, and the start of a cluster. Everything else is simulated:
shards are read by the cores of the nodes, each shard as long as a log-normal number says, at most four shards a core
are under way, and the head takes pages one by one. Nodes are lost at random, with the shards that they read: the shards
are read again elsewhere when the loss is noticed, and another node comes later. Nothing is said of networks and disks.
"""

import heapq
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "batchrun" / "docs" / "scale.md"
AHEAD = 4
"""As `AHEAD` in workers/workers.py."""
SHARD = 500
"""Documents of a shard, as `MAX_SHARD_DOCUMENTS`; a shard of a table has more."""
SPREAD = 0.3
"""Assumed: the spread of the logarithm of how long equal shards take."""
CLUSTER_START_S = 22.0
"""Measured: Ray's `cluster_utils.Cluster` of three nodes, until the first shard is read (Ray 2.60, 2 busy cores)."""
NOTICED_S, REPLACED_S = 30.0, 300.0
"""Assumed: after how long a lost node is noticed, and after how long another node reads."""
CORE_HOUR_USD = 0.05
"""Assumed: the price of a core for an hour."""
NODE_CORES = 16
HEAD_US = 12.0
"""The work of the head for a planned document, in microseconds of one core: measured are 9 to 12 (`planning.py`)."""
SENT_PER_S = 770
"""Measured: the documents a second of one head on one core, against a server that answers at once (`throughput.py`)."""
MILLION = 1_000_000


@dataclass(frozen=True)
class Kind:
    """A kind of document, with the work of one core to read and weigh one."""

    name: str
    core_ms: float
    source: str
    """Where the figure comes from."""


KINDS = (
    Kind("row of Parquet, 300 bytes", 0.036, "measured: scale.py --measure"),
    Kind("text file, 2 kB", 0.106, "measured: scale.py --measure"),
    Kind("simple PDF, 10 pages", 5.4, "measured by an earlier prototype: 2,000 PDFs"),
    Kind("PDF of 10 pages full of text", 10.0, "measured: scale.py --measure"),
    Kind("PDF, 10 pages, at 400 pages a second", 25.0, "assumed, for PDFs that are harder to read"),
)


@dataclass
class Reading:
    """What the simulation of one reading has found; times are in seconds."""

    wall_s: float = 0.0
    node_hours: float = 0.0
    lost_nodes: int = 0
    read_again: int = 0
    """Documents of shards that were under way on a node that was lost."""

    @property
    def cost_usd(self) -> float:
        """What the nodes cost from the start of the cluster to the end of the plan."""
        return self.node_hours * NODE_CORES * CORE_HOUR_USD


@dataclass
class Cluster:
    """The simulation: events in a heap, each a moment, a number that keeps their order, and what happens then."""

    documents: int
    core_s: float
    nodes: int
    cores: int
    losses_per_node_hour: float = 0.0
    start_s: float = 0.0
    draw: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self):
        self.now, self.head_free_at, self.taken = self.start_s, self.start_s, 0
        self.shards = ceil(self.documents / SHARD)
        self.waiting = list(range(self.shards))[::-1]
        self.idle = dict.fromkeys(range(self.nodes), self.cores)
        self.reading = {node: {} for node in range(self.nodes)}
        self.under_way, self.events, self.numbers, self.found = 0, [], 0, Reading()
        self.next_node = self.nodes

    def run(self):
        """Read all documents. Returns what was found."""
        for node in self.idle:
            self._fate(node)
        self._hand_out()
        while self.taken < self.shards:
            self.now, _, happen, *what = heapq.heappop(self.events)
            happen(*what)
            self._hand_out()
        self.found.wall_s = self.head_free_at
        self.found.node_hours = self.nodes * self.found.wall_s / 3600
        return self.found

    def _at(self, moment, happen, *what):
        self.numbers += 1
        heapq.heappush(self.events, (moment, self.numbers, happen, *what))

    def _hand_out(self):
        for node in self.idle:
            while self.idle[node] and self.waiting and self.under_way < AHEAD * self.nodes * self.cores:
                shard = self.waiting.pop()
                self.idle[node] -= 1
                self.under_way += 1
                takes_s = self.core_s * SHARD * self.draw.lognormvariate(-(SPREAD**2) / 2, SPREAD)
                self.reading[node][shard] = self.now + takes_s
                self._at(self.now + takes_s, self._read, node, shard, self.now + takes_s)

    def _read(self, node, shard, moment):
        if self.reading.get(node, {}).get(shard) != moment:
            return  # the node was lost
        del self.reading[node][shard]
        self.idle[node] += 1
        self.head_free_at = max(self.now, self.head_free_at) + SHARD * HEAD_US / 1e6
        self._at(self.head_free_at, self._take)

    def _take(self):
        self.taken += 1
        self.under_way -= 1

    def _fate(self, node):
        if self.losses_per_node_hour:
            self._at(self.now + self.draw.expovariate(self.losses_per_node_hour / 3600), self._lose, node)

    def _lose(self, node):
        lost = list(self.reading.pop(node))
        del self.idle[node]
        self.found.lost_nodes += 1
        self.found.read_again += SHARD * len(lost)
        self._at(self.now + NOTICED_S, self._notice, lost)
        self._at(self.now + REPLACED_S, self._join)

    def _notice(self, lost):
        self.under_way -= len(lost)
        self.waiting += lost

    def _join(self):
        node, self.next_node = self.next_node, self.next_node + 1
        self.idle[node], self.reading[node] = self.cores, {}
        self._fate(node)


def api_hours(documents, *, requests, input_tokens=None, output_tokens=None, of_document=(0, 0)):
    """How long the API takes, by the limit that binds: requests, input tokens or output tokens a minute."""
    minutes = [documents / requests]
    for per_minute, tokens in zip((input_tokens, output_tokens), of_document, strict=True):
        minutes += [documents * tokens / per_minute] if per_minute else []
    return max(minutes) / 60


# --- the tables


def hours(seconds):
    """A time as the tables show it."""
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:,.0f} min"


def rows(head, lines):
    """A table of Markdown."""
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|",
                      *("| " + " | ".join(line) + " |" for line in lines)])  # fmt: skip


def one_machine():
    """Ten million documents of each kind: read by one machine, and answered by the API."""
    head = (
        "10,000,000 documents",
        "core-hours",
        "4 cores",
        "16 cores",
        "the API at 1,000 requests a minute",
        "at 10,000",
    )
    waits = [hours(3600 * api_hours(10 * MILLION, requests=limit)) for limit in (1_000, 10_000)]
    lines = []
    for kind in KINDS:
        work_s, head_s = 10 * MILLION * kind.core_ms / 1e3, 10 * MILLION * HEAD_US / 1e6
        read = [max(work_s / cores, head_s) for cores in (4, 16)]
        lines.append((kind.name, f"{10 * MILLION * kind.core_ms / 3.6e6:,.1f}", *map(hours, read), *waits))
    return rows(head, lines)


def cluster():
    """Ten million harder PDFs on clusters of several sizes, whose nodes are lost more or less often."""
    head = ("nodes of 16 cores", "cost an hour", "losses of a node an hour", "plan", "nodes lost",
            "documents read again", "cost of the plan", "plan and sending at 10,000 requests a minute")  # fmt: skip
    sending_s, lines = 3600 * api_hours(10 * MILLION, requests=10_000), []
    for nodes, losses in ((1, 0), (4, 0), (4, 1), (16, 0), (16, 1)):
        start_s = CLUSTER_START_S if nodes > 1 else 0.0
        found = Cluster(10 * MILLION, KINDS[-1].core_ms / 1e3, nodes, NODE_CORES, losses, start_s).run()
        lines.append((
            str(nodes), f"${nodes * NODE_CORES * CORE_HOUR_USD:,.2f}", f"{losses:g}", hours(found.wall_s),
            str(found.lost_nodes), f"{found.read_again:,}",
            f"${found.cost_usd:,.2f}", hours(found.wall_s + sending_s),
        ))  # fmt: skip
    return rows(head, lines)


def limits():
    """Which limit of the API binds, and how many heads and how many cores that read again keep up with it."""
    head = ("limits a minute", "tokens of a document", "10,000,000 documents", "documents a second", "heads",
            "cores that read harder PDFs again")  # fmt: skip
    lines = []
    for requests, input_tokens, output_tokens, of_document in (
        (1_000, 2 * MILLION, 400_000, (1_000, 100)),
        (10_000, 20 * MILLION, 4 * MILLION, (1_000, 100)),
        (10_000, 20 * MILLION, 4 * MILLION, (6_000, 300)),
        (100_000, 200 * MILLION, 40 * MILLION, (1_000, 100)),
    ):
        took = api_hours(10 * MILLION, requests=requests, input_tokens=input_tokens, output_tokens=output_tokens,
                         of_document=of_document)  # fmt: skip
        a_second = 10 * MILLION / took / 3600
        lines.append((
            f"{requests:,} requests, {input_tokens / MILLION:g}M and {output_tokens / MILLION:g}M tokens",
            f"{of_document[0]:,} and {of_document[1]:,}", hours(3600 * took), f"{a_second:,.0f}",
            str(ceil(a_second / SENT_PER_S)), f"{a_second * KINDS[-1].core_ms / 1e3:,.1f}",
        ))  # fmt: skip
    return rows(head, lines)


TABLES = {"one machine": one_machine, "cluster": cluster, "limits": limits}
"""The tables by the names that stand before them in the page."""
END = "<!-- end -->"


def marked(name, table):
    """A table between the marks by which the page knows it."""
    return f"<!-- scale.py: {name} -->\n{table}\n{END}"


def page(text):
    """The text of the page with the tables as they are now."""
    for name, table in TABLES.items():
        begin = text.index(f"<!-- scale.py: {name} -->")
        end = text.index(END, begin)
        text = text[:begin] + marked(name, table()) + text[end + len(END) :]
    return text


# --- measuring


def measure():
    """Print the work of one core for a document of each kind, in reading and in the head."""
    import _paths  # noqa: F401
    import duckdb
    import extraction
    from trial_project import TrialProject

    def texts(folder):
        for number in range(10_000):
            words = random.Random(number).choices(extraction.WORDS, k=400)
            (folder / f"{number:05}.txt").write_text(f"{number} " + " ".join(words)[:2_000])

    def pdfs(folder):
        for number in range(60):
            (folder / f"{number:05}.pdf").write_bytes(extraction.pdf(number))

    def table(folder):
        text = "SELECT 'id-' || range AS id, range || repeat(' word and more', 20) AS text FROM range(200000)"
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({text}) TO '{folder}/t.parquet' (FORMAT parquet)")

    files = 'type = "files"\ninclude = ["docs/**"]\ntext_cache = "off"'
    for name, write, source in (
        ("row of Parquet, 300 bytes", table, 'type = "table"\npath = "docs/*.parquet"\nid = "id"\ntext = "text"'),
        ("text file, 2 kB", texts, files),
        ("full PDF, 10 pages", pdfs, files),
    ):
        with tempfile.TemporaryDirectory() as temporary:
            project = TrialProject(Path(temporary) / "project")
            project.job(source=source, budget="max_cost_usd = 9e6")
            write(project.root / "docs")
            print(f"{name:28} {measured(project)}", flush=True)


def measured(project):
    """The work for each document of a project: the best of three readings, and a whole plan beside it."""
    from batchrun.cli.interrupts import run_async
    from batchrun.planning.selection import Selection

    best_s, count = float("inf"), 0
    with project.opened() as opened:
        planner = opened.planner()
        for _ in range(3):
            begun, count = time.process_time(), 0
            for shard in planner.source.shards():
                count += planner.workers.weigher.weigh(shard, False).seen
            best_s = min(best_s, time.process_time() - begun)
        begun = time.process_time()
        run_async(planner.plan(Selection()))
        plan_s = time.process_time() - begun
    return (
        f"{1e3 * best_s / count:7.3f} ms to read and weigh, {1e3 * plan_s / count:.3f} ms in the head of a whole plan"
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--measure"]:
        measure()
    elif sys.argv[1:] == ["--renew"]:
        PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
    else:
        print("\n\n".join(marked(name, table()) for name, table in TABLES.items()))
