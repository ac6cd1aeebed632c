"""Set-ups that are ruined in one way each: `doctor` says what is wrong, and gives the line that mends it."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import sqlite3
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from command_line import CommandLine, held, serving, talking_to
from price_files import write_prices
from scripted_gateway import gateway
from trial_project import TrialProject

from batchrun.catalog.rate_limits import LearnedLimits
from batchrun.cli.doctor import job_checks, machine
from batchrun.cli.doctor.api import needs
from batchrun.errors import ExitCode
from batchrun.estimation.text_class import TextClass
from batchrun.file_system import command_of, file_system_of, lock_owner
from batchrun.providers.anthropic.credential import CLEAN
from batchrun.providers.anthropic.models import life_from
from batchrun.simulator.requests.model_cards import find_model, model_info
from batchrun.store.job_files import read_job
from batchrun.store.ledger.job_lock import job_lock
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics

SELF_SIGNED = Path(__file__).parent.parent / "providers" / "anthropic" / "self_signed.pem"
HOUR_S = 3600.0
LIMITS = "input_tokens_per_minute = 900_000"


class Ruin:
    """A project in order, and the ways to ruin its set-up."""

    def __init__(self, project: TrialProject, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
        self.project, self.patch, self.stack = project, patch, stack
        project.documents(2)
        project.job(limits=LIMITS)
        for name, value in talking_to(stack.enter_context(serving())).items():
            patch.setenv(name, value)

    def answering(self, status: int, body: object, **headers: str) -> None:
        """Another server has the address."""
        made = self.stack.enter_context(gateway(status, body, **headers))
        self.patch.setenv("ANTHROPIC_BASE_URL", made.url)

    def card(self, name: str = "claude-haiku-4-5", **capabilities: object) -> dict[str, object]:
        """What the API says of a model, with other capabilities."""
        known = find_model(name)
        assert known is not None
        info = model_info(known)
        return info | {"capabilities": info["capabilities"] | capabilities}

    def ledger(self) -> Path:
        """Make the ledger."""
        Ledger.open(self.project.ledger_path).close()
        return self.project.ledger_path

    def served(self, server: ThreadingHTTPServer, url: str) -> None:
        """Serve at an address in a thread."""
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.stack.callback(server.server_close)
        self.stack.callback(server.shutdown)
        self.patch.setenv("ANTHROPIC_BASE_URL", url)


# --- the ways to ruin it


def quoted_key(ruin: Ruin) -> None:
    ruin.patch.setenv("ANTHROPIC_API_KEY", '"sk-ant-api03-do-not-tell-3141592653"')


def key_with_a_line_break(ruin: Ruin) -> None:
    ruin.patch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-do-not-tell-3141592653\n")


def two_credentials(ruin: Ruin) -> None:
    ruin.patch.setenv("ANTHROPIC_AUTH_TOKEN", "do-not-tell-2718281828")


def web_page(ruin: Ruin) -> None:
    ruin.answering(404, "<html>Not here</html>", **{"content-type": "text/html; charset=utf-8"})


def gateway_without_models(ruin: Ruin) -> None:
    made = ruin.stack.enter_context(gateway(404, {"detail": "Not Found"}))
    made.answers["/v1/messages"] = (400, {"detail": "no model"}, {})
    ruin.patch.setenv("ANTHROPIC_BASE_URL", made.url)


def proxy_that_refuses(ruin: Ruin) -> None:
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # which knows no CONNECT: 501
    ruin.served(proxy, "https://api.anthropic.com")
    ruin.patch.setattr(BaseHTTPRequestHandler, "log_message", lambda *_: None)
    ruin.patch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")


def self_signed_server(ruin: Ruin) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SELF_SIGNED)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    ruin.served(server, f"https://127.0.0.1:{server.server_address[1]}")


def clock_ahead(ruin: Ruin) -> None:
    here = SimpleNamespace(time=lambda: time.time() + HOUR_S)
    ruin.patch.setattr("batchrun.cli.doctor.api.time", here)


def newer_ledger(ruin: Ruin) -> None:
    with contextlib.closing(sqlite3.connect(ruin.ledger())) as connection:
        connection.execute("pragma user_version = 99")


def forbidden_ledger(ruin: Ruin) -> None:
    path = ruin.ledger()
    ruin.patch.setattr(machine.os, "access", lambda asked, _: Path(asked) != path)


def running_job(ruin: Ruin) -> None:
    ruin.stack.enter_context(job_lock(ruin.ledger(), "trial"))


def locked_ledger(ruin: Ruin) -> None:
    ruin.patch.setattr(machine, "MOMENT_S", 0.0)
    other = ruin.stack.enter_context(contextlib.closing(sqlite3.connect(ruin.ledger(), isolation_level=None)))
    other.execute("begin immediate")


def held_output(ruin: Ruin) -> None:
    ruin.patch.setattr(machine, "MOMENT_S", 0.0)
    ruin.project.database.parent.mkdir()
    ruin.stack.enter_context(held(ruin.project.database))


def full_disk(ruin: Ruin) -> None:
    ruin.patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))


def network_disk(ruin: Ruin) -> None:
    ruin.patch.setattr(machine, "file_system_of", lambda _: "nfs4")


def wrong_job_file(ruin: Ruin) -> None:
    ruin.project.job(limits=LIMITS, run="max_concurency = 4", budget="max_cost_usd = -1")


def gone_documents(ruin: Ruin) -> None:
    ruin.project.job(source='type = "files"\ninclude = ["nowhere/*.txt"]')


def unreadable_documents(ruin: Ruin) -> None:
    ruin.project.document("empty.txt", " \n")
    (ruin.project.root / "docs" / "link.txt").symlink_to("nothing")


def unknown_model(ruin: Ruin) -> None:
    refused = {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-haiku-4-5"}}
    ruin.answering(404, refused)


def retired_model(ruin: Ruin) -> None:
    ruin.answering(200, ruin.card() | {"lifecycle": "retired"})


def refused_effort(ruin: Ruin) -> None:
    ruin.project.job(model='name = "claude-opus-5"\nmax_tokens = 100\neffort = "max"')
    efforts = {"supported": True} | {one: {"supported": one in {"low", "high"}} for one in ("low", "high", "max")}
    ruin.answering(200, ruin.card("claude-opus-5", effort=efforts))


def too_many_tokens(ruin: Ruin) -> None:
    ruin.answering(200, ruin.card() | {"max_tokens": 64})


def no_batches(ruin: Ruin) -> None:
    ruin.project.job(run='route = "auto"')
    ruin.answering(200, ruin.card(batch={"supported": False}))


def no_structured_output(ruin: Ruin) -> None:
    ruin.answering(200, ruin.card(structured_outputs={"supported": False}))


def told_limits(ruin: Ruin) -> None:
    told = {"anthropic-ratelimit-input-tokens-limit": "450000", "anthropic-ratelimit-requests-limit": "50"}
    ruin.answering(200, ruin.card(), **told)


def learned_limits(ruin: Ruin) -> None:
    learned = LearnedLimits(None, 400_000, None, concurrency=None, learnt_at=time.time())
    with contextlib.closing(Ledger.open(ruin.ledger())) as ledger, ledger.transaction():
        RunMetrics(ledger).learn("claude-haiku-4-5", learned)


def broken_prices(ruin: Ruin) -> None:
    (ruin.project.root / "prices.toml").write_text("date = 2026-11-20\n[[model]]\nnames = 3\n")
    ruin.patch.setenv("BATCHRUN_PRICES", "prices.toml")


def no_certificates(ruin: Ruin) -> None:
    ruin.patch.setenv("SSL_CERT_FILE", "nowhere.pem")


def env(name: str, value: str) -> Callable[[Ruin], None]:
    return lambda ruin: ruin.patch.setenv(name, value)


class Told(NamedTuple):
    """What `doctor` has to say: the verdict, the check, words, and how the fix begins."""

    code: ExitCode
    verdict: str
    name: str
    words: str
    fix: str


ENTER, FINE, BAD = "read -rs ANTHROPIC_API_KEY && export ANTHROPIC_API_KEY", ExitCode.OK, ExitCode.ENVIRONMENT
CLEANED = CLEAN.format("ANTHROPIC_API_KEY")
RUINS: dict[str, tuple[Callable[[Ruin], None], Told]] = {
    "no key": (env("ANTHROPIC_API_KEY", ""), Told(BAD, "broken", "credential", "no API key", ENTER)),
    "a wrong key": (env("ANTHROPIC_API_KEY", "invalid"), Told(BAD, "broken", "api", "the API refused the key", ENTER)),
    "quotes": (quoted_key, Told(BAD, "broken", "credential", "has quotes or spaces around it", CLEANED)),
    "a line break": (key_with_a_line_break, Told(BAD, "broken", "credential", "such as a line break", CLEANED)),
    "a placeholder": (env("ANTHROPIC_API_KEY", "your-key-here"),
                      Told(FINE, "warning", "credential", "looks like a placeholder", ENTER)),
    "two kinds": (two_credentials, Told(FINE, "warning", "credential", "ANTHROPIC_AUTH_TOKEN is set too",
                                        "unset ANTHROPIC_AUTH_TOKEN")),
    "nobody there": (env("ANTHROPIC_BASE_URL", "http://127.0.0.1:9"),
                     Told(BAD, "broken", "api", "the API cannot be reached", "unset ANTHROPIC_BASE_URL")),
    "ends in /v1": (env("ANTHROPIC_BASE_URL", "http://localhost:9/v1/"),
                    Told(BAD, "broken", "address", "ends in /v1", 'export ANTHROPIC_BASE_URL="${ANTHROPIC_BASE_URL%/')),
    "a web page": (web_page, Told(BAD, "broken", "api", "is no address of the API: it answers a web page",
                                  "unset ANTHROPIC_BASE_URL")),
    "no Models API": (gateway_without_models, Told(FINE, "warning", "models", "this is no obstacle", "")),
    "a proxy": (proxy_that_refuses, Told(BAD, "broken", "api", "the proxy refuses: 501", "unset HTTPS_PROXY")),
    "self-signed": (self_signed_server, Told(BAD, "broken", "api", "self-signed certificate", "if you trust its")),
    "no certificates": (no_certificates, Told(BAD, "broken", "certificates", "SSL_CERT_FILE is nowhere.pem",
                                              "unset SSL_CERT_FILE")),
    "the clock": (clock_ahead, Told(FINE, "warning", "clock", "60 min ahead of the API's", "sudo ")),
    "a newer ledger": (newer_ledger, Told(BAD, "broken", "ledger", "is a ledger of version 99", "use the batchrun")),
    "read-only": (forbidden_ledger, Told(BAD, "broken", "ledger", "ledger.sqlite3 cannot be written",
                                         "chmod u+w .batchrun/ledger.sqlite3")),
    "a run": (running_job, Told(FINE, "warning", "ledger", "the job trial is being run by process",
                                "batchrun status trial --watch")),
    "a foreign lock": (locked_ledger, Told(BAD, "broken", "ledger", "locked, by process ", "close it there")),
    "a held output": (held_output, Told(FINE, "warning", "output", "(PID ", "close it there")),
    "a full disk": (full_disk, Told(BAD, "broken", "output", "only 5.0 MB free on the disk of results", "make room; ")),
    "a network disk": (network_disk, Told(FINE, "warning", "ledger", "a network file system (nfs4)", "name files on")),
    "a wrong job file": (wrong_job_file, Told(ExitCode.USAGE, "broken", "job file", "max_concurency",
                                              '"${EDITOR:-vi}" jobs/trial.toml')),
    "no documents": (gone_documents, Told(BAD, "broken", "documents", "nothing matches nowhere/*.txt", "the nearest")),
    "unreadable": (unreadable_documents, Told(FINE, "warning", "documents", "such as docs/link.txt: a symbolic link",
                                              'mend such files, or leave them out: [source] exclude = ["docs/link.')),
    "unknown": (unknown_model, Told(BAD, "broken", "claude-haiku-4-5", "no such model", '[model] name = "claude-')),
    "retired": (retired_model, Told(BAD, "broken", "claude-haiku-4-5", "is retired", '[model] name = "claude-')),
    "effort": (refused_effort, Told(BAD, "broken", "claude-opus-5", 'does not take effort = "max"',
                                    '[model] effort = "high"')),
    "max_tokens": (too_many_tokens, Told(BAD, "broken", "claude-haiku-4-5", "more than claude-haiku-4-5 can write",
                                         "[model] max_tokens = 64")),
    "no batches": (no_batches, Told(BAD, "broken", "claude-haiku-4-5", "takes no batches", '[run] route = "stream"')),
    "no schemas": (no_structured_output, Told(BAD, "broken", "claude-haiku-4-5", "takes no structured output",
                                              '[output] mode = "tool"')),
    "told limits": (told_limits, Told(FINE, "warning", "limits", "the API allowed 450,000 now",
                                      "[limits] input_tokens_per_minute = 450000")),
    "learned limits": (learned_limits, Told(FINE, "warning", "limits", "the API allowed 400,000 at 20",
                                            "[limits] input_tokens_per_minute = 400000")),
    "broken prices": (broken_prices, Told(BAD, "broken", "prices", "prices.toml", "fix the file, or set BATCHRUN_PR")),
}  # fmt: skip


@pytest.fixture
def ruin(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ruin]:
    with ExitStack() as stack:
        write_prices(project.root / "today.toml")
        monkeypatch.setenv("BATCHRUN_PRICES", "today.toml")
        yield Ruin(project, monkeypatch, stack)


@pytest.mark.slow
def test_in_order(ruin: Ruin, batchrun: CommandLine) -> None:
    ran = batchrun("doctor jobs/trial.toml")
    assert (ran.code, ran.err) == (FINE, "")
    assert set(re.findall(r"^(ok|warning|broken|skipped) ", ran.out, re.MULTILINE)) == {"ok"}
    for words in ("2 readable, 0 empty, 0 unreadable", "none yet", "API key …2653, from ANTHROPIC_API_KEY",
                  "within 30 s of the API's", "active, takes 200,000 tokens", "0 warnings, 0 broken"):  # fmt: skip
        assert words in ran.out


@pytest.mark.slow
@pytest.mark.parametrize("case", RUINS)
def test_it_is_named_with_what_mends_it(ruin: Ruin, batchrun: CommandLine, case: str) -> None:
    spoil, told = RUINS[case]
    spoil(ruin)
    ran = batchrun("doctor jobs/trial.toml --json")
    assert ran.code == told.code, ran.words
    assert ran.json["ok"] is (told.verdict == "warning")
    matching = [one for one in ran.json["checks"] if one["name"] == told.name and told.words in one["words"]]
    assert [one["verdict"] for one in matching] == [told.verdict], ran.out
    assert (matching[0]["fix"] or "").startswith(told.fix), matching
    assert "do-not-tell" not in ran.words
    assert "Traceback" not in ran.words


def test_the_lines_that_mend_a_key_do_what_they_say() -> None:
    """A shell runs the line as pasted."""
    script = f'{CLEANED}\nprintf %s "$ANTHROPIC_API_KEY"'
    given = {"ANTHROPIC_API_KEY": "\t\"sk-ant-'key' \r\n", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", script], env=given, capture_output=True, text=True, check=True)
    assert done.stdout == "sk-ant-key"


@pytest.mark.slow
def test_only_a_part_of_many_documents_is_looked_at(
    ruin: Ruin, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ruin.project.documents(9)
    monkeypatch.setattr(job_checks, "MOST_DOCUMENTS", 4)
    assert "3 of 9 files looked at: 3 readable" in batchrun("doctor jobs/trial.toml --offline").out
    monkeypatch.setattr(job_checks, "MOST_BYTES", 6)
    assert "2 of 9 files looked at: 2 readable" in batchrun("doctor jobs/trial.toml --offline").out


def test_what_the_system_says_of_files(tmp_path: Path) -> None:
    file = tmp_path / "locked"
    assert lock_owner(file) is None
    file.write_text("")
    assert lock_owner(file) is None
    with file.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        assert lock_owner(tmp_path / "gone", file) == os.getpid()
    assert command_of(0) is None
    assert "python" in (command_of(os.getpid()) or "")
    assert file_system_of(Path("/proc/self")) == "proc"


@pytest.mark.slow
def test_without_a_job_it_is_asked_whether_the_api_answers(ruin: Ruin, batchrun: CommandLine) -> None:
    ran = batchrun("doctor")
    assert (ran.code, "documents" in ran.out) == (FINE, False)
    assert re.search("^ok +api +it answers, and takes the credential$", ran.out, re.MULTILINE)


@pytest.mark.slow
def test_submit_and_plan_point_to_the_doctor(
    ruin: Ruin, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "invalid")
    ran = batchrun("submit jobs/trial.toml")
    assert (ran.code, ran.err.count("batchrun doctor")) == (BAD, 1)
    assert "; see: batchrun doctor" in batchrun("plan jobs/trial.toml --online 2").out


def test_what_a_job_needs_of_its_models(ruin: Ruin) -> None:
    ruin.project.job(run='route = "batch"')
    life = life_from(json.dumps(ruin.card(pdf_input={"supported": False})).encode(), {})
    job = read_job(ruin.project.root / "jobs" / "trial.toml")
    found = {what: takes for what, takes, _ in needs(life, job, {TextClass.PAGES, TextClass.IMAGE})}
    assert found == {"structured output": True, "batches": True, "PDF": False, "images": True}
