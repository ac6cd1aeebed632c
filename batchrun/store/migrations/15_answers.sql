-- Version 15: answers that come in turns, what was found out about them, and the chain over settled attempts.

-- How answers were asked for and judged: the same JSON as in AnswerForm.
create table answer_forms (
    form_no    integer primary key,
    sha        text not null,                               -- of `form`
    prompt_sha text not null,                               -- of all that requests have beside document and form
    form       text not null,
    unique (sha, prompt_sha)
) strict;

alter table requests add column form_no integer references answer_forms;  -- null for requests of earlier versions
alter table requests add column turn text;                  -- JSON: what the next attempt asks; null: the request as it is
alter table requests add column partial text;               -- JSON: what earlier turns have answered
alter table requests add column findings text;              -- JSON: what was found out about the answer

alter table wholes add column findings text;                -- JSON: those of the parts, each field's from the part that gave its value

alter table attempts add column turn text;                  -- JSON: what was asked, as in requests
alter table attempts add column reason text;                -- why the reply is no row
alter table attempts add column thinking_tokens integer;    -- part of output_tokens; null where the API tells none

-- The chain over settled attempts. A link stands for an attempt as it was then; the last link of an attempt counts.
create table chain (
    link_no    integer primary key,
    attempt_no integer not null,                            -- no reference: a removed attempt is told by its link
    facts      blob not null,                               -- SHA-256 of the attempt with its reply and its output
    digest     blob not null                                -- SHA-256 of the digest before and of this link
) strict;
create index chain_attempt on chain (attempt_no);

create table chain_end (                                    -- one row
    settled_before integer not null,                        -- attempts that were settled before the chain began
    last_before    integer not null,                        -- the number of the last one
    links          integer not null,
    digest         blob                                     -- of the last link; null without one
) strict;
insert into chain_end select count(*), coalesce(max(attempt_no), 0), 0, null from attempts where state != 'open';
