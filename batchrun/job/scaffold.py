"""The texts of a new job file and of a new batchrun.toml, for `batchrun init`."""

import json
import re
import shlex
import unicodedata

from batchrun.escaping import escape_control

SKIPS = 'on_unreadable = "skip"            # a scan, an image, a password: the plan says what each is'
SOURCES = {
    "files": f"""\
type = "files"
include = ["documents/**"]        # PDF, Word, mail, web pages, sheets, text …: `batchrun docs documents`
# exclude = ["**/draft-*"]
{SKIPS}
# Rows of a table instead of files:
# type = "table"
# path = "tickets.csv"            # or .jsonl, .parquet, .xlsx
# id = "ticket_id"
# text = "body"                   # other columns are {{{{ doc.<column> }}}}
""",
    "table": """\
type = "table"
path = "tickets.csv"              # or .tsv, .jsonl, .parquet, .xlsx; several files: "tickets/*.csv"
id = "ticket_id"                  # a column without gaps, each value once
text = "body"                     # other columns are {{ doc.<column> }}
""",
    "duckdb": """\
type = "duckdb"
database = "inbox.duckdb"
query = "SELECT ticket_id AS id, body AS text FROM tickets"   # needs `id` and `text`; others are {{ doc.<column> }}
""",
}

_TEXT = """\
#:schema {schema}
# A batchrun job. Try it for nothing:   batchrun plan {path}
# Relative paths start at the project: the nearest folder upward with a batchrun.toml or .batchrun/.
# Every key: `batchrun docs job-file-reference`
version = 1

[job]
name = "{name}"

[source]
{source}
on_empty = "skip"                 # a document without text is none
on_oversize = "split"             # a document too large for one request is asked in parts

[model]
name = "claude-haiku-5-5"
max_tokens = 1024                 # of one answer, thinking included
effort = "low"                    # low | medium | high | xhigh | max

[prompt]{languages}
system = "You extract facts from documents. Use null when the document does not say."
user = \"\"\"
{{{{ doc.text }}}}

Return the fields for this document.
\"\"\"
fence = true                      # a document is data, whatever it tells the model to do: `batchrun docs trust`

[output.fields]                   # each becomes a typed column; "?" = may be null
title = {{ type = "string?", description = "The document's title" }}
date = {{ type = "date?", description = "The date the document bears" }}
kind = {{ enum = ["letter", "report", "contract", "other"] }}
summary = {{ type = "string", description = "One sentence" }}

[budget]
max_cost_usd = {budget:<18} # nothing is sent when the estimate's upper bound is above it

# [run]
# route = "batch"                 # half the price, within 24 hours; "auto" chooses; the default is "stream"

# [limits]                        # your organisation's limits for this model
# requests_per_minute = 1_000
# input_tokens_per_minute = 450_000
# output_tokens_per_minute = 90_000
"""
PROJECT_TEXT = """\
#:schema .batchrun/project.schema.json
# What holds for all jobs of this project. Every key: `batchrun docs job-file-reference`

[budget]                          # ceilings, which job files and commands can only lower
# max_cost_usd = 5.00             # of a run
# max_cost_per_day_usd = 10.00    # of all runs of a day, in UTC

[tiers]                           # models for `tier = "standard"` in [model] of a job file
# standard = ["claude-sonnet-5-5", "claude-haiku-4-5"]
"""
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def scaffold(name: str, source: str, *, path: str, schema: str, languages: str = "", budget: str = "5.00") -> str:
    """Return the text of a commented job file that loads as it is; `name` must be a job name, `source` TOML.

    `path` leads from the project to the job file, and `schema` from the job file to its JSON Schema. `languages` says
    which ones the documents have.
    """
    said = f"\n# {languages} Say here in which language texts are to be." if languages else ""
    places = {"path": escape_control(shlex.quote(path)), "schema": escape_control(schema)}
    return _TEXT.format(name=name, source=source.rstrip(), budget=budget, languages=said, **places)


def job_name(text: str) -> str:
    """Make a job's name of any text."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(_SPELT_OUT))
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"[\u0300-\u036f]", "", plain))[:40].strip("-") or "job"


def toml(value: object) -> str:
    """Write a text, or a list of texts, as TOML has it: like JSON, but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
