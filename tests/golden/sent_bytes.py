"""What the sample jobs, and small variants of them, put on the wire and into the ledger.

    python tests/golden/sent_bytes.py

writes `sent_bytes.json` anew. Whoever commits a difference makes every document of every job in use new work, to be
paid for again: request ids are hashes of these bytes.
"""

import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from recording_api import BATCHES, COUNT, Answer, Call, RecordingApi, Script, batchrun, standing_in, text_of, valid

HERE = Path(__file__).parent
GOLDEN = HERE / "sent_bytes.json"
REPOSITORY = HERE.parent.parent
HEADERS = ("content-type", "anthropic-beta")
"""The headers that the API reads and the version of the SDK does not decide."""
LEDGER = Path(".batchrun") / "ledger.sqlite3"

SECTIONS = {
    "source": 'type = "files"\ninclude = ["docs/*.txt"]\non_empty = "skip"',
    "model": 'name = "claude-sonnet-5-5"\nmax_tokens = 1536\neffort = "low"',
    "prompt": (
        'system = "You extract contract terms. Use null when the document does not say; never guess."\n'
        'user = """\n<document id="{{ doc.id }}">\n{{ doc.text }}\n</document>\n\nReturn the fields.\n"""\n'
        'cache = "off"'
    ),
    "output.fields": (
        'party_a = { type = "string", description = "First named party, as written" }\n'
        'effective_date = "date?"\n'
        'contract_type = { enum = ["msa", "nda", "other"] }\n'
        'quote = "string?"'
    ),
    "run": 'route = "stream"',
    "batch": 'poll_interval = "0.01s"\nmax_poll_interval = "0.02s"',
    "budget": "max_cost_usd = 5.00",
}
"""A job file by section."""
DOCUMENTS = {
    "english.txt": (
        b'Mutual non-disclosure agreement between "Helios" Ltd. and Meridian plc.\r\n\r\n'
        b"\t1. Each party keeps what it is told \\ shown to itself.\r\n"
        b"\t2. This agreement is governed by the law of England & Wales; it ends on 31 January 2026.\r\n"
    ),
    "japanese.txt": "\ufeff業務委託契約書\n甲は乙に対し、本契約に定める業務を委託する。👍🏽 ﬁn\u2028".encode(),
    "western.txt": "Vertrag über 5 € … gültig für „Müller“ & Söhne\n".encode("cp1252") * 4,
    "empty.txt": b" \n",
}
"""Documents of all jobs but the samples: quotes, carriage returns, a byte order mark, an encoding to be guessed."""

LADDER = (
    'name = "claude-sonnet-5-5"\nfallbacks = ["claude-haiku-4-5", "claude-opus-5-5"]\nmax_tokens = 1536\neffort = "low"'
)
CASCADE = 'models = ["claude-haiku-5-5", "claude-sonnet-5-5"]\nevidence = ["quote"]'
CASCADED = 'max_tokens = 1536\neffort = "low"'
LONG = 'name = "claude-sonnet-5-5"\nmax_tokens = 30_000'
OPENING = 'user = """The contract begins here.\n{{ doc.text }}\nIts name: {{ doc.id }}"""'
DOCUMENT_FIRST = 'user = "{{ doc.text }}"'
FIELDS = r"""
name = { type = "string", description = "As \"written\", é", min_length = 2, max_length = 200, pattern = "^[a-z]" }
day = "date?"
signed_at = { type = "datetime", nullable = true }
kind = { type = "enum?", enum = ["é", "b"] }
count = { type = "integer", minimum = 0, maximum = 100 }
share = { type = "number?", minimum = 0.5, description = "A share" }
yes = "boolean"
signatories = { type = "array", items = "string", min_items = 1, max_items = 20 }
notice = { type = "object", fields = { days = "integer", form = "string?" } }
payments = { type = "array", items = { type = "object", fields = { due = "date", usd = "number" } } }
"""
ROWS = """
CREATE TABLE documents AS SELECT * FROM (VALUES
    (1, 'plain', DATE '2026-02-28', 12.50::DECIMAL(9, 2), 0.1::DOUBLE, true, ['a', 'b'], NULL, 0.1::FLOAT),
    (2, 'quote " backslash \\ é 漢字 🎈', DATE '1999-12-31', -0.01, 1e300, false, [], NULL, 3.4e38),
    (3, 'line' || chr(10) || 'feed' || chr(9) || 'tab' || chr(8232), NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, '', DATE '2026-01-01', 1, 1, true, ['empty'], NULL, 1)
) AS t(id, text, day, price, share, open, tags, nothing, small)
"""
COLUMNS = {
    "source": 'type = "duckdb"\ndatabase = "columns.duckdb"\nquery = "SELECT * FROM documents"\non_empty = "skip"',
    "model": 'name = "claude-haiku-5-5"\nmax_tokens = 1024\nthinking = "disabled"',
    "output.fields": 'title = "string"',
}
COLUMNS_PROMPT = (
    'user = "Row {{doc.id}} {{ doc.day }}|{{ doc.price }}|{{ doc.share }}|{{ doc.open }}|{{ doc.tags }}|'
    '{{ doc.nothing }}|{{ doc.small }}: {{ doc.text }}"'
)


def refusing(*models: str) -> Script:
    """These models refuse; the others answer."""
    return lambda params: Answer("", "refusal") if params["model"] in models else Answer()


def cut_short(params: Mapping[str, Any]) -> Answer:
    """One contract needs more than 2,000 tokens for its answer."""
    short = params["max_tokens"] < 2000 and "Helios" in text_of(params)
    return Answer('{"party_a": "He', "max_tokens") if short else Answer()


@dataclass(frozen=True)
class Variant:
    """A job, what the API says to it, and the commands that run it."""

    sections: Mapping[str, str] | None = None
    """The sections of the job file that differ from `SECTIONS`; None stands for the sample job of the same name."""
    script: Script = valid
    then: str | None = None
    """A second command."""


def variant(*, script: Script = valid, then: str | None = None, **sections: str) -> Variant:
    """A job file with these sections (`output_fields` for `[output.fields]`)."""
    return Variant({name.replace("_", "."): text for name, text in sections.items()}, script, then)


def prompt(user: str | None = None, *, system: bool = True, cache: str = "off") -> str:
    """The section [prompt]."""
    system_line, usual = SECTIONS["prompt"].split("\n", 1)
    usual = usual.rpartition("\n")[0]
    return "\n".join([*([system_line] if system else []), user or usual, f'cache = "{cache}"'])


REFUSED_TWICE = refusing("claude-sonnet-5-5", "claude-haiku-4-5")
VARIANTS = {
    "contracts": Variant(),
    "tickets": Variant(),
    "cache off": variant(),
    "cache 5m": variant(prompt=prompt(cache="5m")),
    "cache 1h": variant(prompt=prompt(cache="1h")),
    "cache 1h, mark behind the system prompt": variant(prompt=prompt(DOCUMENT_FIRST, cache="1h")),
    "cache 5m, mark in the user message": variant(prompt=prompt(OPENING, system=False, cache="5m")),
    "cache 5m, nothing to mark": variant(prompt=prompt(DOCUMENT_FIRST, system=False, cache="5m")),
    "ladder": variant(model=LADDER, script=REFUSED_TWICE),
    "ladder, cache 5m": variant(model=LADDER, prompt=prompt(cache="5m"), script=REFUSED_TWICE),
    "cascade": variant(model=CASCADED, cascade=CASCADE),
    "cascade, cache 1h": variant(model=CASCADED, cascade=CASCADE, prompt=prompt(cache="1h")),
    "truncated documents": variant(source=f'{SECTIONS["source"]}\nmax_document_tokens = 20\non_oversize = "truncate"'),
    "columns": Variant(COLUMNS | {"prompt": COLUMNS_PROMPT + '\ncache = "off"'}),
    "columns, cache 5m": Variant(COLUMNS | {"prompt": COLUMNS_PROMPT + '\ncache = "5m"'}),
    "every type of field": variant(output_fields=FIELDS),
    "long answers": variant(model=LONG),
    "long answers, cache 1h": variant(model=LONG, prompt=prompt(cache="1h")),
    "batch": variant(run='route = "batch"'),
    "batch, cache 1h": variant(run='route = "batch"', prompt=prompt(cache="1h")),
    "batch, cascade, cache 5m": variant(
        run='route = "batch"', model=CASCADED, cascade=CASCADE, prompt=prompt(cache="5m")
    ),
    "retry of a truncated answer": variant(script=cut_short, then="retry JOB --json", output="max_repairs = 0"),
}


def sent(name: str, root: Path) -> dict[str, Any]:
    """What a variant sends and writes down, in an empty folder."""
    variant = VARIANTS[name]
    job = _laid_out(root, name, variant)
    with RecordingApi(variant.script).serving() as api, standing_in(root, api):
        for command in filter(None, ("submit JOB --json", variant.then)):
            ran = batchrun(command.replace("JOB", str(job)))
            assert ran.code in {0, 1}, ran.err
    with closing(sqlite3.connect(root / LEDGER)) as ledger:
        return {**in_ledger(ledger), **on_the_wire(api.calls, nonces(ledger))}


def in_ledger(ledger: sqlite3.Connection) -> dict[str, Any]:
    """What the ledger tells requests, documents and runs by."""
    return {
        "runs": _lines(
            ledger, "select run_no, job, job_path, fingerprint, model, route, documents, to_send, exit_code from runs"
        ),
        "requests": _lines(
            ledger,
            "select request_id, model, counted_tokens, text_class, outcome from requests order by model, request_id",
        ),
        "documents": _lines(
            ledger,
            "select doc_id, d.source, content_sha, request_id, coalesce(d.outcome, r.outcome), d.max_tokens"
            " from documents d left join requests r using (request_no) order by doc_id",
        ),
        "members": _lines(
            ledger,
            "select batch_no, request_id from attempts join requests using (request_no)"
            " where batch_no is not null order by attempts.attempt_no",
        ),
    }


def nonces(ledger: sqlite3.Connection) -> list[str]:
    """The random part of the custom_ids of each batch."""
    return [nonce for (nonce,) in ledger.execute("select nonce from batches order by batch_no")]


def on_the_wire(calls: Iterable[Call], nonces: Iterable[str]) -> dict[str, Any]:
    """What was posted: the hash of every body, and one body of each kind as it is."""
    posted: dict[str, list[str]] = defaultdict(list)
    headers: dict[str, list[str]] = {}
    for call in calls:
        if call.method == "POST":
            path, body = call.path, _steady(call.body, nonces)
            kind = path if path.startswith(BATCHES) else f"{path} {json.loads(body)['model']}"
            posted[kind].append(body)
            headers[path] = [f"{name}: {call.headers.get(name)}" for name in HEADERS]
    return {
        "headers": headers,
        "hashes": {kind: _hashes(kind, bodies) for kind, bodies in sorted(posted.items())},
        "bodies": {kind: min(bodies, key=lambda body: (len(body), body)) for kind, bodies in sorted(posted.items())},
        "methods": sorted({f"{call.method} {call.path.partition('/msgbatch_')[0]}" for call in calls}),
    }


def _steady(body: bytes, nonces: Iterable[str]) -> str:
    """A body without what is drawn anew each time, and without the spaces of the SDK where the SDK wrote it."""
    text = body.decode()
    for number, nonce in enumerate(nonces, 1):
        text = text.replace(nonce, f"NONCE{number}")
    if text.startswith("{") and json.loads(text).get("stream"):
        return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    return text


def _hashes(kind: str, bodies: Iterable[str]) -> list[str]:
    """The hash of every body; counting is free, so how often the same is counted does not matter."""
    return sorted(_sha256(body) for body in (set(bodies) if kind.startswith(COUNT) else bodies))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _lines(ledger: sqlite3.Connection, query: str) -> list[str]:
    return [" | ".join("-" if value is None else str(value) for value in row) for row in ledger.execute(query)]


def _laid_out(root: Path, name: str, variant: Variant) -> Path:
    """Fill an empty folder; returns the job file."""
    (root / ".git").mkdir()
    if variant.sections is None:
        for folder in ("jobs", "sample_data"):
            shutil.copytree(REPOSITORY / folder, root / folder)
        return Path("jobs") / f"{name}.toml"
    for folder in ("docs", "jobs"):
        (root / folder).mkdir()
    for document, text in DOCUMENTS.items():
        (root / "docs" / document).write_bytes(text)
    if "duckdb" in variant.sections.get("source", ""):
        with closing(duckdb.connect(str(root / "columns.duckdb"))) as database:
            database.execute(ROWS)
    sections = {**SECTIONS, **variant.sections}
    body = "\n".join(f"[{section}]\n{text}\n" for section, text in sections.items())
    path = Path("jobs") / "variant.toml"
    (root / path).write_text(f'version = 1\n[job]\nname = "variant"\n{body}', "utf-8")
    return path


def main() -> None:
    """Write the golden file anew."""
    golden = {}
    for name in VARIANTS:
        with tempfile.TemporaryDirectory() as folder:
            golden[name] = sent(name, Path(folder))
    GOLDEN.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
