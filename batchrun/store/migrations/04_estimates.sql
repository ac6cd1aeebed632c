-- What an estimate rested on, and what it said of tokens: compared with what a run really used.

alter table requests add column guessed integer not null default 0; -- counted_tokens is a guess from the document's size
alter table runs add column estimate_input_tokens integer;           -- the means; null in runs of earlier versions
alter table runs add column estimate_output_tokens integer;
