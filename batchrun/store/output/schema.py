"""The tables in the output file: their columns, what is said of them, and what a file of an earlier version lacks."""

SIDE_SCHEMA = "_batchrun"
"""The schema of the tables beside the rows."""
OLD_SCHEMAS = ("batchrun", "main")
"""Where earlier versions had these tables: in `main` if the file was called batchrun.duckdb."""

FIRST_COLUMNS = frozenset({"doc_id", "_request_id", "_run_id", "_finished_at"})
"""The columns by which a table is known to be ours: every version has made them."""
OWN_COLUMNS = {
    "doc_id": ("VARCHAR", "The document; each document has one row at most."),
    "_request_id": ("VARCHAR", "The request that was answered with this row."),
    "_run_id": ("VARCHAR", "The run in which the answer came."),
    "_finished_at": ("TIMESTAMPTZ", "The time at which the answer came."),
    "_model": ("VARCHAR", "The model that answered."),
    "_attempts": ("INTEGER", "How many replies the answer took: more than one if it was mended, or asked in turns."),
}
"""The columns that a table of rows has besides the job's fields."""
FINDING_COLUMNS = {
    "_problems": ("JSON", "Why fields are null that had another value in the reply, by field."),
    "_evidence": (
        "JSON",
        "Where the document says so, by field: its own words, their places, and how they fit.",
    ),
    "_agreement": ("JSON", "The share of the votes that agree with the value of the row, by field."),
    "_corrections": ("JSON", "What people have corrected, by field: the model's value, who said so, and when."),
}
"""The columns that a table of rows has if the job asks for what they tell."""

SIDE_TABLES = {
    "positions": (
        "ledger_id varchar, job varchar, table_name varchar, position bigint",
        "How far each table of rows has followed its ledger.",
    ),
    "runs": (
        "job varchar, run_id varchar, model varchar, state varchar, exit_code integer, simulated boolean,"
        " documents bigint, to_send bigint, estimate_usd decimal(18, 9), cost_usd decimal(18, 9),"
        " budget_usd decimal(18, 9), started_at timestamptz, ended_at timestamptz, note varchar, tags json,"
        " reserved_usd decimal(18, 9)",
        "The runs of each job, with what they were expected to cost and what they did cost.",
    ),
    "documents": (
        "job varchar, doc_id varchar, source varchar, status varchar, reason varchar, request_id varchar,"
        " run_id varchar, note varchar",
        "What became of each document, and why a document has no row.",
    ),
    "attempts": (
        "job varchar, attempt_no bigint, run_id varchar, doc_id varchar, request_id varchar, state varchar,"
        " outcome varchar, cause varchar, status integer, error_type varchar, error_code varchar, message varchar,"
        " stop_reason varchar, api_request_id varchar, model varchar, input_tokens bigint, cache_write_tokens bigint,"
        " cache_read_tokens bigint, output_tokens bigint, cost_usd decimal(18, 9), started_at timestamptz,"
        " ended_at timestamptz, latency_s double, first_byte_s double, tags json, reserved_usd decimal(18, 9),"
        " thinking_tokens bigint",
        "Everything that was sent, with the tokens and the cost of each attempt.",
    ),
}
"""Rows are inserted by position, and the second column of a table is the key of a job's rows."""
LATER_COLUMNS = frozenset({"latency_s", "first_byte_s", "tags", "reserved_usd", "note", "thinking_tokens"})
"""The columns that the tables of an earlier version may lack."""
MOST_USD = 999_999_999
"""The most that a column of dollars holds, in whole dollars; a budget may be a dollar more."""

MODEL_OF_OLD_ROWS = """
update {table} set _model = answered.model from (
    select request_id, max_by(model, attempt_no) as model from {attempts}
    where job = $1 and outcome = 'succeeded' group by request_id) answered
where _request_id = answered.request_id
"""
"""For a table of an earlier version, whose rows do not say which model answered."""


def quoted(name: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL, without NULs: DuckDB 1.4 takes them for the end of the statement."""
    return "'" + text.replace("\0", "").replace("'", "''") + "'"
