-- Version 12 of the ledger: the tags of runs, what was spent by tag and day, and the tokens of a run.

create table run_tags (
    run_no integer not null references runs,
    tag    text not null,
    value  text not null,
    primary key (run_no, tag)
) strict, without rowid;

-- Like `spending`, for each tag of the runs that the attempts belong to. A run keeps the tags that it began with.
create table tag_spending (
    tag            text not null,
    value          text not null,
    day            integer not null,
    committed_nusd integer not null,
    tokens         integer not null,
    primary key (tag, value, day)
) strict, without rowid;

alter table runs add column tokens integer not null default 0;   -- like committed_nusd, in tokens
alter table runs add column cap_tokens integer;                  -- null: no cap
update runs set tokens = (select coalesce(sum(counted_tokens), 0) from attempts where attempts.run_no = runs.run_no);

-- Beside the triggers of script 6, one for each change.
create trigger attempt_reserves_tokens after insert on attempts begin
    update runs set tokens = tokens + new.counted_tokens where run_no = new.run_no;
    insert into tag_spending
    select tag, value, cast(new.started_at / 86400 as integer), coalesce(new.cost_nusd, new.reserved_nusd),
        new.counted_tokens
    from run_tags where run_no = new.run_no
    on conflict (tag, value, day) do update set
        committed_nusd = committed_nusd + excluded.committed_nusd, tokens = tokens + excluded.tokens;
end;
create trigger attempt_settles_tokens after update of cost_nusd, reserved_nusd, reserved_tokens, input_tokens,
    cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, output_tokens on attempts
begin
    update runs set tokens = tokens + new.counted_tokens - old.counted_tokens where run_no = new.run_no;
    update tag_spending set
        committed_nusd = committed_nusd
            + coalesce(new.cost_nusd, new.reserved_nusd) - coalesce(old.cost_nusd, old.reserved_nusd),
        tokens = tokens + new.counted_tokens - old.counted_tokens
    where (tag, value) in (select tag, value from run_tags where run_no = new.run_no)
        and day = cast(new.started_at / 86400 as integer);
end;
create trigger attempt_forgotten_tokens after delete on attempts begin
    update runs set tokens = tokens - old.counted_tokens where run_no = old.run_no;
    update tag_spending set
        committed_nusd = committed_nusd - coalesce(old.cost_nusd, old.reserved_nusd), tokens = tokens - old.counted_tokens
    where (tag, value) in (select tag, value from run_tags where run_no = old.run_no)
        and day = cast(old.started_at / 86400 as integer);
end;
