"""A judge of reading on Ray: three nodes on this machine, kills amid the work, and the same job inline and on Ray.

    python tests/benchmarks/judge_workers.py [documents] [rows of Parquet]

The documents are copies with changes of those in sample_data, in seven formats. Plans are made inline, by two
processes, on Ray, and on Ray while workers and a node are killed: ids, rows and the text of the plan, in which its cost
stands, have to be the same. Then an eighth of the documents is sent: a job is begun inline, killed, and ended on Ray,
and the other way round. Only requests that were in flight at the kill are paid twice. At last rows of Parquet are
planned inline and by two processes. A difference ends the script with an AssertionError that shows it. Walls are noisy;
the processor time of the head, without its other processes, is not. On two quiet cores all of it takes five minutes.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from itertools import zip_longest
from pathlib import Path

import _paths  # noqa: F401

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workers"))

from command_line import process, serving, talking_to
from conftest import running
from extraction import pdf
from on_nodes import descendants, until
from planning import COPY, TABLE
from trial_project import TrialProject

from batchrun.cli.interrupts import run_async
from batchrun.cli.views.plan_text import plan_as_text
from batchrun.cli.views.terminal import Terminal
from batchrun.planning.selection import Selection
from batchrun.simulator.replies.latency import Latency
from batchrun.workers.workers import do_nothing
from batchrun.workflow.open_job import SubmitOptions, open_job

FILES = 'type = "files"\ninclude = ["docs/**"]\ntext_cache = "off"'
SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
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


def wish(project, source):
    run = 'workers = "auto"\nmax_concurrency = 64'
    project.job(source=source, run=run, budget="max_cost_usd = 9e6")


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
    wish(project, FILES)


def an_eighth(project, other):
    """A project with every eighth folder of another, whose files are not written a second time."""
    copy = TrialProject(other)
    for folder in sorted((project.root / "docs").iterdir())[::8]:
        shutil.copytree(folder, copy.root / "docs" / folder.name, copy_function=os.link)
    wish(copy, FILES)
    return copy


def table(project, count):
    subprocess.run([sys.executable, "-c", COPY.replace("NUMBER", str(count))], cwd=project.root, check=True)
    wish(project, TABLE)


def plan(root, kind):
    """Plan in this process, write the plan down as lines of text, and print figures as JSON."""
    path = root / "jobs" / "trial.toml"
    options = SubmitOptions(workers=int(kind) if kind.isdigit() else kind)
    with open_job(path, simulated=False, to_run=False, options=options) as opened:
        times = [time.perf_counter()]
        if kind != "inline":
            opened.pool.submit(do_nothing).result()
        print("connected", flush=True)
        times.append(time.perf_counter())
        found = run_async(opened.planner(options).plan(Selection()))
        times.append(time.perf_counter())
        used, digest = resource.getrusage(resource.RUSAGE_SELF), hashlib.sha256()
        terminal = Terminal(json=False, quiet=0, verbose=0, color="never")
        with (root / "plan.txt").open("w", encoding="utf-8") as file:
            file.write(plan_as_text(found, opened, terminal, path, runs=True, file=None) + "\n")
            for row in opened.ledger.connection.execute("select * from planned order by planned_no"):
                file.write(repr(tuple(row)) + "\n")
        for row in opened.ledger.connection.execute("select request_id from planned order by planned_no"):
            digest.update(repr(tuple(row)).encode())
        ((rows, ids),) = opened.ledger.connection.execute("select count(*), count(distinct request_id) from planned")
    figures = {"start_s": times[1] - times[0], "plan_s": times[2] - times[1], "rows": rows, "ids": ids}
    figures |= {"digest_of_ids": digest.hexdigest()[:12], "cost": found.estimate.cost_nusd.mean / 1e9}
    print(json.dumps(figures | {"head_cpu_s": used.ru_utime + used.ru_stime, "head_mb": used.ru_maxrss / 1024}))


def planned(project, kind, environment, kills=()):
    """Plan in a process of its own, and carry out kills, each a function, one after the other meanwhile."""
    command = [sys.executable, __file__, "--plan", str(project.root), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        begun, landed = time.perf_counter(), []

        def kill():
            for one in kills:
                while process.poll() is None and not one():
                    time.sleep(0.05)
                if process.poll() is None:
                    landed.append(f"a {one.__name__} after {time.perf_counter() - begun:.0f} s")
                time.sleep(2)

        killing = threading.Thread(target=kill, daemon=True)
        process.stdout.readline()  # once connected
        killing.start()
        out, _ = process.communicate()
        killing.join()
    assert process.returncode == 0
    assert len(landed) == len(kills), f"only these kills came before the end: {landed}"
    one = json.loads(out)
    say(
        f"plan {kind}: {one['rows']:,} rows, {one['ids']:,} ids ({one['digest_of_ids']}), ${one['cost']:,.2f}, "
        f"connected in {one['start_s']:.1f} s, planned in {one['plan_s']:.1f} s, head {one['head_cpu_s']:.1f} s of CPU "
        f"({1e6 * one['head_cpu_s'] / one['rows']:.0f} us a row) and {one['head_mb']:.0f} MB"
        + "".join(f"\n  killed {what}" for what in landed)
    )
    return one, (project.root / "plan.txt").rename(project.root / f"plan {time.perf_counter()}.txt")


def require_same(expected, found):
    """Compare two plans as texts: the plan as people see it, and every row."""
    with expected.open(encoding="utf-8") as ours, found.open(encoding="utf-8") as theirs:
        for line, (one, other) in enumerate(zip_longest(ours, theirs), start=1):
            assert one == other, f"line {line} of the plans differs:\n{one}{other}"


def killers(nodes):
    """Two workers, then a node of Ray, and two more workers. Each returns whether there was one to kill."""

    def worker():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a process ended meanwhile
            found = [pid for node in nodes for pid, name in descendants(node).items() if "ray::receive" in name]
            return found and not os.kill(found[0], signal.SIGKILL)
        return False

    def node():
        return not os.kill(nodes.pop(), signal.SIGKILL)

    return [worker, worker, node, worker, worker]


def say(text):
    print(f"{time.perf_counter() - BEGUN:4.0f} s  {text}", flush=True)


def begun_and_ended(project, first, second, environment):
    """Submit with one kind of workers, kill the command amid it, and submit again with another kind."""
    count = sum(path.is_file() for path in project.root.glob("docs/*/*"))
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
            _, err = running.communicate()
        assert running.returncode in (0, 1), err
        ((answered,),) = project.ask("select count(*) from requests where outcome = 'succeeded'")
        ((unknown,),) = project.ask("select count(*) from attempts where state = 'unknown'")
        twice = api.books.summary()["billed_twice"]
        assert twice <= unknown <= 64
        say(
            f"{first}, killed, then {second}: {answered:,} answers, {len(project.rows()):,} rows, {unknown} in flight "
            f"at the kill, {twice} paid twice, {time.perf_counter() - begun:.1f} s"
        )
        return sorted(project.ask("select request_id, output from requests"))


def judge(folder, count, rows):
    project = TrialProject(folder / "project")
    fill(project, count)
    say(f"{count:,} documents are written")
    with running(folder, "ray_nodes.py", "1", "1", "1") as cluster:
        ray = {"RAY_ADDRESS": cluster["address"]}
        say("three nodes of Ray, with a core each, have started")
        _, expected = planned(project, "inline", ray)
        of_two, plan_of_two = planned(project, "2", ray)
        of_ray, plan_of_ray = planned(project, "ray", ray)
        _, after_kills = planned(project, "ray", ray, killers(cluster["nodes"]))
        for found in (plan_of_two, plan_of_ray, after_kills):
            require_same(expected, found)
        say(f"the plans are the same; Ray took {of_ray['plan_s'] / of_two['plan_s']:.2f} x the time of two processes")
        answers = []
        for first, second in (("inline", "ray"), ("ray", "inline")):
            other = an_eighth(project, folder / f"{first} {second}")
            answers.append(begun_and_ended(other, first, second, ray))
        assert answers[0] == answers[1], "ids and answers are the same"
        say("ids and answers are the same")
    of_rows = TrialProject(folder / "table")
    table(of_rows, rows)
    _, expected = planned(of_rows, "inline", {})
    require_same(expected, planned(of_rows, "2", {})[1])
    say(f"the plans of {rows:,} rows of Parquet are the same")


def main(documents="20_000", rows="1_000_000", *of_plan):
    if documents == "--plan":
        plan(Path(rows), *of_plan)
        return
    with tempfile.TemporaryDirectory() as folder:
        judge(Path(folder), int(documents), int(rows))


BEGUN = time.perf_counter()
if __name__ == "__main__":
    main(*sys.argv[1:])
