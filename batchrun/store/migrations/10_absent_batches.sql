-- Version 10 of the ledger: what the API denies of batches, and which create calls were never sent.

alter table batches add column absent_at real;   -- since when the API denies that there is such a batch

-- From now on a batch is in doubt just before the last bytes of its create call leave: a prepared batch without a time
-- was never sent. Earlier versions wrote the time only when the call had failed.
update batches set unclear_at = prepared_at where state = 'prepared' and unclear_at is null;
