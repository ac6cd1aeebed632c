-- The ledger, version 1; what came later is in the next script. Money is integer nano-USD, times are seconds since 1970 (UTC).
-- What is spent and held follows from the attempts; the one sum that is kept, runs.committed_nusd, is kept by
-- triggers in the same transaction as they, because adding up a million attempts before every send would take too long.

create table meta (
    key   text primary key,
    value any
) strict, without rowid;

create table runs (
    run_no            integer primary key,
    run_id            text not null unique,
    job               text not null,
    job_path          text not null,
    fingerprint       text not null,              -- of everything besides the documents that makes requests
    model             text not null,
    simulated         integer not null,
    state             text not null,              -- running, interrupted, stopped, finished
    exit_code         integer,
    note              text,                       -- why it stopped
    documents         integer not null,           -- selected by the plan
    to_send           integer not null,           -- of those, without an answer when the run began
    cap_nusd          integer not null,
    estimate_nusd     integer not null,
    estimate_low_nusd integer not null,
    estimate_high_nusd integer not null,
    committed_nusd    integer not null default 0, -- spent + reserved + unknown; kept by the triggers below
    pid               integer not null,
    host              text not null,
    started_at        real not null,
    ended_at          real
) strict;
create index runs_job on runs (job, run_no);

-- One document under one prompt, schema and model, named by its content; shared by all jobs.
create table requests (
    request_no     integer primary key,
    request_id     text not null unique,
    model          text not null,
    counted_tokens integer not null,              -- of the document, by the local tokenizer
    text_class     text not null,
    outcome        text,                          -- null while pending
    reason         text,
    output         text,                          -- JSON, when succeeded
    attempt_no     integer references attempts    -- the attempt that settled it
) strict;

-- The documents of every job as they are now.
create table documents (
    document_no    integer primary key,
    job            text not null,
    doc_id         text not null,
    source         text not null,
    content_sha    text not null,
    request_no     integer references requests,   -- null when none can be made
    outcome        text,                          -- skipped or unreadable; otherwise the request's counts
    reason         text,
    max_tokens     integer,                       -- set by `retry` for a truncated document
    row_request_no integer references requests,   -- whose output is its row in the output table
    run_no         integer not null references runs,
    seq            integer not null,              -- of the latest change to any of this
    row_seq        integer not null default 0,    -- of the latest change to its row
    unique (job, doc_id)
) strict;
create index documents_request on documents (request_no);
create index documents_run on documents (run_no, document_no);
create index documents_seq on documents (job, seq);
create index documents_row_seq on documents (job, row_seq);

-- Every try to get an answer, written before it is sent.
create table attempts (
    attempt_no     integer primary key,
    request_no     integer not null references requests,
    run_no         integer not null references runs,
    job            text not null,
    doc_id         text not null,
    state          text not null,                 -- open, answered, failed (not billed), unknown (lost: maybe billed)
    reserved_nusd  integer not null,              -- its worst case
    cost_nusd      integer,                       -- null while open or unknown: then the worst case counts
    started_at     real not null,
    ended_at       real,
    outcome        text,                          -- what its reply meant, when it settled the request
    cause          text,                          -- why there is no reply
    status         integer,
    error_type     text,
    error_code     text,
    message        text,
    stop_reason    text,
    api_request_id text,
    model          text,
    input_tokens          integer,
    cache_write_5m_tokens integer,
    cache_write_1h_tokens integer,
    cache_read_tokens     integer,
    output_tokens         integer,
    seq            integer not null default 0
) strict;
create index attempts_request on attempts (request_no);
create index attempts_run on attempts (run_no);
create index attempts_seq on attempts (job, seq);
create index attempts_open on attempts (run_no) where state = 'open';

-- What came back, as it came: the expensive artefact.
create table replies (
    attempt_no integer primary key references attempts,
    raw        text not null
) strict;

create trigger attempt_reserves after insert on attempts begin
    update runs set committed_nusd = committed_nusd + coalesce(new.cost_nusd, new.reserved_nusd)
    where run_no = new.run_no;
end;
create trigger attempt_settles after update of cost_nusd, reserved_nusd on attempts begin
    update runs set committed_nusd = committed_nusd
        + coalesce(new.cost_nusd, new.reserved_nusd) - coalesce(old.cost_nusd, old.reserved_nusd)
    where run_no = new.run_no;
end;

-- A document with what is known of it.
create view document_status as
select
    d.document_no, d.job, d.doc_id, d.doc_id as id, d.source,
    coalesce(d.outcome, r.outcome, 'pending') as status,
    case when d.outcome is not null then d.reason else r.reason end as reason,
    r.request_id, r.request_no, r.model, r.counted_tokens as tokens, r.attempt_no,
    (select run_id from runs where runs.run_no = d.run_no) as run_id,
    (select count(*) from attempts a where a.request_no = d.request_no) as attempts,
    (select coalesce(sum(coalesce(a.cost_nusd, a.reserved_nusd)), 0) / 1e9
       from attempts a where a.request_no = d.request_no) as cost_usd,
    d.run_no, d.seq, d.row_request_no, d.max_tokens, d.content_sha
from documents d left join requests r using (request_no);
