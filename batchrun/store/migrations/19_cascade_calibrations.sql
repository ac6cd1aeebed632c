-- Version 19: calibrations of cascades: which documents are asked of both models, and the threshold that they have shown.

create table cascade_calibrations (
    calibration_no integer primary key,
    job            text not null,
    settings       text not null,                           -- digest of all that the threshold depends on
    max_difference real not null,
    seed           integer not null,                        -- the documents to ask of both models are drawn with it
    drawn_at       real not null,
    asked          integer,                                 -- documents that the first model answered; null until it is over
    below          real,                                    -- the threshold, infinite to accept all; null if none holds
    accepted       integer,                                 -- of the asked documents: those below the threshold
    differing      integer,                                 -- of the accepted documents
    at_most        real,                                    -- upper bound of the share that differs, with 95% confidence
    ended_at       real
) strict;
create index calibrations_settings on cascade_calibrations (job, settings);

-- All documents that were to be sent when the sample was drawn: for others a calibration promises nothing.
create table cascade_calibration_documents (
    calibration_no integer not null references cascade_calibrations,
    doc_id         text not null,
    content_sha    text not null,
    drawn          integer not null,                        -- whether both models are asked
    primary key (calibration_no, doc_id)
) strict, without rowid;
