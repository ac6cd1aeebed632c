-- What is remembered of a run for its summary: what `plan` found, and how the run ended.

create table run_plans (
    run_no    integer primary key references runs,
    plan      text not null,   -- JSON: what the last submit of the run had planned
    database  text not null,   -- the file of the rows, below the project where it is
    ending    text,            -- JSON: how the last submit of the run ended; null while it has not
    ended_seq integer          -- the latest sequence number then: `ending` does not know of attempts that ended later
) strict;
