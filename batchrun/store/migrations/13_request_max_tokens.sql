-- The max_tokens of a request: an answer that ended by itself stays the answer when the job file allows longer ones.

alter table requests add column max_tokens integer;  -- null for requests of earlier versions
