-- What was spent and is held day by day, for the caps that hold across runs; and what an attempt is expected to take.

alter table attempts add column reserved_tokens integer;   -- the most it may use, prompt and answer together
alter table attempts add column expected_nusd integer;     -- its expected cost, where that counts instead of the worst
-- What it used, or may have used. What failed was not billed and used nothing.
alter table attempts add column counted_tokens integer generated always as (coalesce(
    input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens + output_tokens,
    iif(cost_nusd is null, reserved_tokens, 0), 0)) virtual;
create index attempts_document on attempts (run_no, doc_id);  -- asked before each attempt when documents have a cap
create index attempts_held on attempts (run_no, reserved_nusd) where cost_nusd is null and state != 'open';

alter table runs add column expected_nusd integer not null default 0;  -- like committed_nusd, with expected costs
update runs set expected_nusd = committed_nusd;

create table spending (
    day            integer not null,        -- since 1970, in UTC: when the attempt was started
    model          text not null,           -- of the request
    committed_nusd integer not null,        -- spent + reserved + unknown, like that of a run
    tokens         integer not null,
    primary key (day, model)
) strict, without rowid;
insert into spending
select cast(started_at / 86400 as integer), requests.model, sum(coalesce(cost_nusd, reserved_nusd)),
    sum(attempts.counted_tokens)
from attempts join requests using (request_no) group by 1, 2;

-- One trigger for each change keeps the sums of the run and of the day.
drop trigger attempt_reserves;
drop trigger attempt_settles;
drop trigger attempt_forgotten;
create trigger attempt_reserves after insert on attempts begin
    update runs set
        committed_nusd = committed_nusd + coalesce(new.cost_nusd, new.reserved_nusd),
        expected_nusd = expected_nusd + coalesce(new.cost_nusd, new.expected_nusd, new.reserved_nusd)
    where run_no = new.run_no;
    insert into spending
    select cast(new.started_at / 86400 as integer), model, coalesce(new.cost_nusd, new.reserved_nusd), new.counted_tokens
    from requests where request_no = new.request_no
    on conflict (day, model) do update set
        committed_nusd = committed_nusd + excluded.committed_nusd, tokens = tokens + excluded.tokens;
end;
create trigger attempt_settles after update of cost_nusd, reserved_nusd, expected_nusd, reserved_tokens, input_tokens,
    cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, output_tokens on attempts
begin
    update runs set
        committed_nusd = committed_nusd
            + coalesce(new.cost_nusd, new.reserved_nusd) - coalesce(old.cost_nusd, old.reserved_nusd),
        expected_nusd = expected_nusd + coalesce(new.cost_nusd, new.expected_nusd, new.reserved_nusd)
            - coalesce(old.cost_nusd, old.expected_nusd, old.reserved_nusd)
    where run_no = new.run_no;
    update spending set
        committed_nusd = committed_nusd
            + coalesce(new.cost_nusd, new.reserved_nusd) - coalesce(old.cost_nusd, old.reserved_nusd),
        tokens = tokens + new.counted_tokens - old.counted_tokens
    where day = cast(new.started_at / 86400 as integer)
        and model = (select model from requests where request_no = new.request_no);
end;
create trigger attempt_forgotten after delete on attempts begin
    update runs set
        committed_nusd = committed_nusd - coalesce(old.cost_nusd, old.reserved_nusd),
        expected_nusd = expected_nusd - coalesce(old.cost_nusd, old.expected_nusd, old.reserved_nusd)
    where run_no = old.run_no;
    update spending set
        committed_nusd = committed_nusd - coalesce(old.cost_nusd, old.reserved_nusd), tokens = tokens - old.counted_tokens
    where day = cast(old.started_at / 86400 as integer)
        and model = (select model from requests where request_no = old.request_no);
end;
