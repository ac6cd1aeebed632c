-- Version 20: what a tune has found, for the reports of the job's runs.

alter table tunes add column frontier text;                 -- JSON, as in Frontier; null before the first setting was judged
