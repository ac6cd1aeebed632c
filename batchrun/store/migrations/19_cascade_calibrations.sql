-- Version 19: calibrations of cascades: which documents are asked of both models, and the threshold that they have shown.

create table cascade_calibrations (
    calibration_no integer primary key,
    job            text not null,
    settings       text not null,                           -- digest of all that the threshold depends on
    max_difference real not null,
    documents      integer not null,                        -- those that were to be sent, of which the sample was drawn
    drawn          text not null,                           -- JSON: the ids of the documents that both models are asked about
    drawn_at       real not null,
    asked          integer,                                 -- drawn documents that the first model answered; null until the end
    below          real,                                    -- the threshold, infinite to accept all; null if none holds
    accepted       integer,                                 -- of the asked documents: those below the threshold
    differing      integer,                                 -- of the accepted documents
    ended_at       real
) strict;
create index calibrations_settings on cascade_calibrations (job, settings);
