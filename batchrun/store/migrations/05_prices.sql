-- The prices that attempts were priced by: what each class of token cost, long after the table has changed.

create table prices (
    price_no       integer primary key,
    model          text not null,
    table_date     text not null,                 -- of the file, as 2026-11-20
    valid_from     text,                          -- null: ever
    source         text not null,                 -- the file, as shown to people
    above_tokens   integer,                       -- set for the rates of longer prompts than this
    divisor        integer not null,              -- of the sum over all classes, rounded up: 2 in batches
    input_nusd          integer not null,         -- these five for one token
    output_nusd         integer not null,
    cache_write_5m_nusd integer not null,
    cache_write_1h_nusd integer not null,
    cache_read_nusd     integer not null
) strict;

-- Null for what has no cost, or only its worst case, and for what was answered before this script.
alter table attempts add column price_no integer references prices;
