-- Version 18: tunes. The runs of a tune stand under the name of the job and `@tune`; its requests are shared with the job.

create table tunes (
    tune_no    integer primary key,
    job        text not null,
    digest     text not null,                               -- of the settings, the documents and the target
    after_attempt integer not null,                         -- the number of the last attempt before the tune
    started_at real not null,
    ended_at   real                                         -- null while the tune may go on
) strict;
create index tunes_job on tunes (job, tune_no);
