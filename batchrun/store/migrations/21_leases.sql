-- Version 21: what a lease service has granted this ledger of the caps that several hosts share.

create table lease_holder (                 -- one row, once the ledger has asked for a lease
    only       integer primary key check (only = 1),
    holder     text not null,               -- the ledger, as the service knows it
    epoch      text not null,               -- drawn anew whenever grants are lowered: a late question of before is void
    earlier    text not null,               -- the epoch of the last answer, and those since that got none
    expires_at real not null                -- from then on nothing is reserved on the grants
) strict;
create table leases (
    cap     text not null,                  -- as in Cap.kind
    period  integer not null,               -- the day, or the first day of the month, since 1970
    granted integer not null,               -- in all, in nano-USD or tokens
    primary key (cap, period)
) strict, without rowid;
