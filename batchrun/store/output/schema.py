"""The tables in the output file: their columns, and the columns that a file of an earlier version lacks."""

FIRST_COLUMNS = {"doc_id": "VARCHAR", "_request_id": "VARCHAR", "_run_id": "VARCHAR", "_finished_at": "TIMESTAMP"}
"""The columns by which a table is known to be ours: every version has made them."""
OWN_COLUMNS = FIRST_COLUMNS | {"_model": "VARCHAR"}
"""The columns that a table of rows has besides the job's fields."""

OWN_TABLES = ("positions", "runs", "documents", "attempts")
"""The tables in the schema `batchrun`; no job may give its table one of these names."""

SCHEMA = """
create table if not exists batchrun.positions (ledger_id varchar, job varchar, table_name varchar, position bigint);
create table if not exists batchrun.runs (
    job varchar, run_id varchar, model varchar, state varchar, exit_code integer, simulated boolean, documents bigint,
    to_send bigint, estimate_usd double, cost_usd double, budget_usd double, started_at timestamp, ended_at timestamp,
    note varchar);
create table if not exists batchrun.documents (
    job varchar, doc_id varchar, source varchar, status varchar, reason varchar, request_id varchar, run_id varchar);
create table if not exists batchrun.attempts (
    job varchar, attempt_no bigint, run_id varchar, doc_id varchar, request_id varchar, state varchar,
    outcome varchar, cause varchar, status integer, error_type varchar, error_code varchar, message varchar,
    stop_reason varchar, api_request_id varchar, model varchar, input_tokens bigint, cache_write_tokens bigint,
    cache_read_tokens bigint, output_tokens bigint, cost_usd double, started_at timestamp, ended_at timestamp,
    latency_s double, first_byte_s double);
alter table batchrun.attempts add column if not exists latency_s double;
alter table batchrun.attempts add column if not exists first_byte_s double;
"""
"""The second part is for files of earlier versions. Rows are inserted by position, so new columns come last."""
MODEL_OF_OLD_ROWS = """
update {table} set _model = answered.model from (
    select request_id, max_by(model, attempt_no) as model from batchrun.attempts
    where job = $1 and outcome = 'succeeded' group by request_id) answered
where _request_id = answered.request_id
"""
"""For a table of an earlier version, whose rows do not say which model answered."""
