-- Version 2 of the ledger: Message Batches. Their members are attempts with a batch_no, open until they are settled,
-- so that the worst case of every open batch counts against the caps like any other reservation.

create table batches (
    batch_no       integer primary key,
    nonce          text not null unique,          -- in the custom_id of every member
    run_no         integer not null references runs,
    job            text not null,
    model          text not null,
    schema         text not null,                 -- of the answers, as JSON: they may come when the job file has changed
    state          text not null,                 -- prepared, submitted, ended, collected, abandoned
    batch_id       text unique,                   -- the API's
    adopted        integer not null default 0,    -- found in the list, and not yet proven by a custom_id
    requests       integer not null,
    bytes          integer not null,
    newest_before  text,                          -- the newest batch of the workspace just before it was sent
    prepared_at    real not null,
    unclear_at     real,                          -- since when nobody knows whether it was created
    empty_scans    integer not null default 0,    -- how often it was looked for in vain
    scanned_at     real,
    clock_ahead    real,                          -- of the API's clock before ours at the last look, in seconds
    created_at     real,                          -- this and the next two by the API's clock
    expires_at     real,
    ended_at       real,
    cancel_at      real,                          -- when we asked for its cancellation
    next_poll_at   real,
    downloads      integer not null default 0,    -- of its results, to the end
    note           text
) strict;
create index batches_open on batches (job) where state in ('prepared', 'submitted', 'ended');

-- Batches of the API that were found not to be one of ours, although they looked like it. They may be another of ours.
create table foreign_batches (
    batch_no integer not null references batches,
    batch_id text not null,
    primary key (batch_no, batch_id)
) strict, without rowid;

alter table attempts add column batch_no integer references batches;
create index attempts_batch on attempts (batch_no, request_no) where batch_no is not null;
create trigger attempt_forgotten after delete on attempts begin
    update runs set committed_nusd = committed_nusd - coalesce(old.cost_nusd, old.reserved_nusd)
    where run_no = old.run_no;
end;

alter table runs add column route text not null default 'stream';
alter table runs add column deadline_at real;
