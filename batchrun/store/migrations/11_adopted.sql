-- Version 11 of the ledger: rows that were taken over from the output.

-- Requests whose answers were adopted from the rows of the output, because the ledger that had them was lost: there is
-- no attempt that settled such a request, and nobody knows what the answer cost.

create table adopted (
    request_no  integer primary key references requests,
    run_no      integer not null references runs,   -- of the adoption
    run_id      text,                                -- this and the next two as the row had them
    finished_at text,
    model       text
) strict;
