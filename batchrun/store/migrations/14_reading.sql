-- Version 14: how documents were read, and the files as they were then: what has not changed is not read again.

alter table documents add column place text not null default '';     -- finds the document in its file; '' for all of it
alter table documents add column note text;                          -- what had to be done to read it
alter table documents add column pages integer;
alter table documents add column reader text not null default '';    -- name and version; '' for rows, and before version 14
alter table documents add column bytes_sha text not null default ''; -- of the bytes that the reader got
alter table documents add column settings text;                      -- digest of the job that its request followed from
alter table documents add column left_out text;                      -- why nothing is sent: empty, too_large, unreadable
alter table documents add column source_columns text;                -- JSON: the columns of [source] that the row gets
alter table documents add column gone integer not null default 0;    -- has a row, and the last plan of all lacked it
create index documents_gone on documents (job) where gone;

alter table documents add column whole text;                         -- of a part: the doc_id of the whole document
alter table documents add column merges integer not null default 0;  -- asks for one answer over those of the parts of `whole`
create index documents_whole on documents (job, whole) where whole is not null;
create index documents_merges on documents (job) where merges;

-- Long documents that are asked in parts. Their answers are merged here, and their rows come from here.
create table wholes (
    whole_no    integer primary key,
    job         text not null,
    doc_id      text not null,
    source      text not null,
    parts       integer not null,
    merged_of   text,                                                -- what the answer follows from: parts and rules
    request_id  text,                                                -- of the request that has merged the parts, if any
    output      text,                                                -- JSON, when all parts have succeeded
    provenance  text,                                                -- JSON: the parts that gave each value
    reason      text,                                                -- why there is no answer, when a part has failed
    run_no      integer references runs,                             -- of the last answer, like the next two
    model       text,
    finished_at real,
    gone        integer not null default 0,                          -- as in documents
    seq         integer not null default 0,
    row_seq     integer not null default 0,
    unique (job, doc_id)
) strict;

-- The merged answers of documents that are no longer asked in parts: their rows are known, and may be replaced.
create table former_merges (
    merged_of text primary key
) strict, without rowid;

create table read_files (
    job      text not null,
    file     text not null,                                          -- as in documents.source, without a part
    size     integer not null,
    mtime_ns integer not null,
    ctime_ns integer not null,
    inode    integer not null,
    had      text not null,                                          -- JSON: its documents, each with its bytes_sha
    primary key (job, file)
) strict, without rowid;

-- Files that are kept at the API for the batches of a job, so that a batch is not full of a few files.
create table uploads (
    job        text not null,
    address    text not null,                                        -- base URL of the API
    sha        text not null,                                        -- SHA-256 of the bytes
    name       text not null,                                        -- random: finds the file when the answer was lost
    begun_at   real not null,
    file_id    text,                                                 -- null until the API has answered
    expires_at real,
    primary key (job, address, sha)
) strict, without rowid;
