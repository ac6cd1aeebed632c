"""A judge of reading on Ray: three nodes on this machine, kills amid the work, and the same job inline and on Ray.

    python tests/benchmarks/judge_workers.py [documents]

The documents are copies with changes of those in sample_data, in eight formats. Plans are made inline, by two processes,
on Ray, and on Ray while workers and a node are killed: rows, ids and the text of the plan have to be the same. Then a
job is begun inline, killed, and ended on Ray, and the other way round: no document is paid twice, but for those that
were in flight. Walls are noisy; the processor time of the head (of all its threads, without other processes) is not.
"""

import hashlib
import io
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import _paths  # noqa: F401

TESTS = Path(__file__).resolve().parent.parent
SAMPLES = TESTS.parent / "sample_data"
sys.path[:0] = [str(TESTS / "workers"), str(SAMPLES)]

from command_line import process, serving, talking_to
from conftest import running
from extraction import pdf
from on_nodes import descendants, until
from trial_project import TrialProject

from batchrun.cli.interrupts import run_async
from batchrun.cli.views.plan_text import plan_as_text
from batchrun.cli.views.terminal import Terminal
from batchrun.planning.selection import Selection
from batchrun.simulator.replies.latency import Latency
from batchrun.workflow.open_job import SubmitOptions, open_job

OFFICE = ("quote-shelving.eml", "safety-notice-kt-40.html", "services-agreement.docx", "budget-2027.xlsx")


def rezipped(data, name, old, new):
    """A copy of an archive in which the first such bytes of one file are others."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as copy:
        for part in archive.namelist():
            body = archive.read(part)
            copy.writestr(part, body.replace(old, new, 1) if part == name else body)
    return written.getvalue()


def changed(path, data, number):
    """A copy of a sample with a number in its text."""
    if path.suffix == ".docx":
        paragraph = f"<w:p><w:r><w:t>Copy {number}</w:t></w:r></w:p></w:body>"
        return rezipped(data, "word/document.xml", b"</w:body>", paragraph.encode())
    if path.suffix == ".xlsx":
        return rezipped(data, "xl/sharedStrings.xml", b"</t>", f" {number}</t>".encode())
    if path.suffix == ".html":
        return data.replace(b"</body>", f"<p>Copy {number}</p></body>".encode())
    return data + f"\nCopy {number}\n".encode()


def fill(project, count):
    samples = [(path, path.read_bytes()) for path in sorted((SAMPLES / "contracts").iterdir())]
    office = [(SAMPLES / "office" / name, (SAMPLES / "office" / name).read_bytes()) for name in OFFICE]
    for number in range(count):
        folder = project.root / "docs" / f"{number // 500:03}"
        folder.mkdir(exist_ok=True)
        if number % 4 == 0:
            (folder / f"{number}.pdf").write_bytes(pdf(number, 4))
        else:
            some = office if number % 4 == 1 else samples
            path, data = some[number // 4 % len(some)]
            (folder / f"{number}{path.suffix}").write_bytes(changed(path, data, number))
    run = 'workers = "auto"\nmax_concurrency = 64'
    project.job(
        source='type = "files"\ninclude = ["docs/**"]\ntext_cache = "off"', run=run, budget="max_cost_usd = 9e6"
    )


def plan(root, kind):
    """Plan in this process, and print what came of it as JSON."""
    begun, first, path = time.perf_counter(), [], root / "jobs" / "trial.toml"

    def heard(*_):
        first.append(time.perf_counter()) if not first else None

    options = SubmitOptions(workers=int(kind) if kind.isdigit() else kind, planning=heard)
    with open_job(path, simulated=False, to_run=False, options=options) as opened:
        found = run_async(opened.planner(options).plan(Selection()))
        ended = time.perf_counter()
        rows = opened.ledger.connection.execute("select * from planned order by planned_no").fetchall()
        terminal = Terminal(json=False, quiet=0, verbose=0, color="never")
        text = plan_as_text(found, opened, terminal, path, runs=True, file=None)
    used = resource.getrusage(resource.RUSAGE_SELF)
    digest = hashlib.sha256(repr((rows, text)).encode()).hexdigest()
    figures = {"rows": len(rows), "digest": digest, "start_s": first[0] - begun, "reading_s": ended - first[0]}
    print(json.dumps(figures | {"head_cpu_s": used.ru_utime + used.ru_stime, "head_mb": used.ru_maxrss / 1024}))


def planned(project, kind, environment, kills=()):
    """Plan in a process of its own, and carry out kills, each a function, one after the other meanwhile."""
    command = [sys.executable, __file__, "--plan", str(project.root), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        done = []

        def kill():
            for one in kills:
                time.sleep(2)
                if process.poll() is None and one():
                    done.append(one)

        killing = threading.Thread(target=kill)
        killing.start()
        out, _ = process.communicate()
        killing.join()
    assert process.returncode == 0
    figures = json.loads(out)
    print(
        f"plan {kind}: {figures['rows']:,} rows, first page after {figures['start_s']:.1f} s, reading "
        f"{figures['reading_s']:.1f} s, head {figures['head_cpu_s']:.1f} s of CPU and {figures['head_mb']:.0f} MB, "
        f"{len(done)} kills"
    )
    return figures


def killers(nodes):
    """Four workers and then a node of Ray."""

    def worker():
        found = [pid for node in nodes for pid, name in descendants(node).items() if "ray::receive" in name]
        return found and not os.kill(found[0], signal.SIGKILL)

    def node():
        return not os.kill(nodes.pop(), signal.SIGKILL)

    return [worker, worker, node, worker, worker]


def begun_and_ended(project, count, first, second, environment):
    """Submit with one kind of workers, kill the command amid it, and submit again with another kind."""
    with serving(latency=Latency(first_token_s=0.02, tokens_per_s=math.inf)) as api:
        begun = time.perf_counter()
        said = talking_to(api) | environment
        command = f"submit jobs/trial.toml --workers {first}"
        with process(command, cwd=project.root, environment=said, start=subprocess.Popen) as running:
            until(lambda: len(api.books.entries) >= count // 3)
            running.kill()
            running.communicate()
        command = f"submit jobs/trial.toml --workers {second}"
        with process(command, cwd=project.root, environment=said, start=subprocess.Popen) as running:
            out, err = running.communicate()
        assert running.returncode in (0, 1), err
        ((answered,),) = project.ask("select count(*) from requests where outcome = 'succeeded'")
        ((unknown,),) = project.ask("select count(*) from attempts where state = 'unknown'")
        twice = api.books.summary()["billed_twice"]
        assert twice <= unknown <= 64
        print(
            f"{first}, killed, then {second}: {answered:,} answers, {len(project.rows()):,} rows, {unknown} in flight "
            f"at the kill, {twice} paid twice, {time.perf_counter() - begun:.1f} s"
        )
        return sorted(project.ask("select request_id, output from requests"))


def judge(folder, count):
    project = TrialProject(folder / "project")
    fill(project, count)
    with running(folder, "ray_nodes.py", "1", "1", "1") as cluster:
        ray = {"RAY_ADDRESS": cluster["address"]}
        plans = [planned(project, kind, ray) for kind in ("inline", "2", "ray")]
        plans.append(planned(project, "ray", ray, killers(cluster["nodes"])))
        assert len({plan["digest"] for plan in plans}) == 1, "every plan has the same rows and says the same"
        print(f"Ray {plans[2]['reading_s'] / plans[1]['reading_s']:.2f} x the time of two processes, once connected")
        answers = []
        for first, second in (("inline", "ray"), ("ray", "inline")):
            other = TrialProject(folder / f"{first} {second}")
            fill(other, count)
            answers.append(begun_and_ended(other, count, first, second, ray))
        assert answers[0] == answers[1], "ids and answers are the same"


def main(documents="20000", *of_plan):
    if documents == "--plan":
        plan(Path(of_plan[0]), of_plan[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        judge(Path(folder), int(documents))


if __name__ == "__main__":
    main(*sys.argv[1:])
