-- Pilots: documents that a run sends first, and whether the rest was let in after them.

create table pilots (
    run_no     integer primary key references runs,
    begins_run integer not null,             -- whether the run began with it, so that its estimate is only the pilot's
    went_on    integer not null default 0    -- whether the rest was let in
) strict;

create table pilot_documents (
    run_no integer not null references pilots,
    doc_id text not null,
    primary key (run_no, doc_id)
) strict, without rowid;
