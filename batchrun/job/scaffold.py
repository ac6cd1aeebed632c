"""The text of a new job file, for `batchrun init`."""

from typing import Literal

_SOURCES = {
    "files": """\
[source]
type = "files"
include = ["documents/**"]        # PDF, Word, mail, web pages, sheets, text …: `batchrun docs documents`
# exclude = ["**/draft-*"]
on_empty = "skip"                 # an empty file is no document
# on_unreadable = "skip"          # a scan, an image, a password: the plan says what each is
# Rows of a table instead of files:
# type = "table"
# path = "tickets.csv"            # or .jsonl, .parquet, .xlsx
# id = "ticket_id"
# text = "body"                   # other columns are {{ doc.<column> }}
""",
    "table": """\
[source]
type = "table"
path = "tickets.csv"              # or .tsv, .jsonl, .parquet, .xlsx; several files: "tickets/*.csv"
id = "ticket_id"                  # a column without gaps, each value once
text = "body"                     # other columns are {{ doc.<column> }}
on_empty = "skip"                 # a row without text is no document
""",
    "duckdb": """\
[source]
type = "duckdb"
database = "inbox.duckdb"
query = "SELECT ticket_id AS id, body AS text FROM tickets"   # needs `id` and `text`; others are {{ doc.<column> }}
on_empty = "skip"                 # a row without text is no document
""",
}

_TEXT = """\
# A batchrun job. Try it for nothing:   batchrun plan {path}
# Relative paths start at the project: the nearest folder upward with a batchrun.toml or .batchrun/.
version = 1

[job]
name = "{name}"

{source}
[model]
name = "claude-haiku-5-5"
max_tokens = 1024                 # of one answer, thinking included
effort = "low"                    # low | medium | high | xhigh | max

[prompt]
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
max_cost_usd = 5.00               # nothing is sent when the estimate's upper bound is above it

# [run]
# route = "batch"                 # half the price, within 24 hours; "auto" chooses; the default is "stream"

# [limits]                        # your organisation's limits for this model
# requests_per_minute = 1_000
# input_tokens_per_minute = 450_000
# output_tokens_per_minute = 90_000
"""


def scaffold(name: str, source: Literal["files", "table", "duckdb"]) -> str:
    """Return the text of a commented job file that loads as it is; `name` must be a job name."""
    return _TEXT.format(name=name, path=f"jobs/{name}.toml", source=_SOURCES[source])
