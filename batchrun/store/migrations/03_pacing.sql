-- Version 3 of the ledger: how fast a run was, what held it up, and what it learnt of the limits.

alter table attempts add column latency_s real;      -- from the send to the end of the answer; null in batches
alter table attempts add column first_byte_s real;   -- from the send to the first byte of the answer
-- Percentiles are asked for again and again while a run goes on: with these two it takes 0.1 s for 100,000 attempts.
-- Queries use them that repeat the condition word for word.
create index attempts_latency on attempts (run_no, latency_s) where state = 'answered' and latency_s is not null;
create index attempts_first_byte on attempts (run_no, first_byte_s)
where state = 'answered' and first_byte_s is not null;

-- What a model was sent and produced within one minute, and the limits in force then.
create table minutes (
    run_no              integer not null references runs,
    model               text not null,
    minute              integer not null,        -- since 1970
    requests            integer not null,
    input_tokens        integer not null,        -- without cache reads
    output_tokens       integer not null,
    requests_limit      integer,                 -- a minute; null: not known
    input_tokens_limit  integer,
    output_tokens_limit integer,
    primary key (run_no, model, minute)
) strict, without rowid;

-- How long requests were kept from being sent, all of them added up.
create table waits (
    run_no  integer not null references runs,
    cause   text not null,
    seconds real not null,
    times   integer not null,
    primary key (run_no, cause)
) strict, without rowid;

-- What the API told of a model's limits, for the next run.
create table learnt_limits (
    model                    text primary key,
    requests_per_minute      integer,
    input_tokens_per_minute  integer,
    output_tokens_per_minute integer,
    concurrency              integer,
    learnt_at                real not null
) strict, without rowid;
