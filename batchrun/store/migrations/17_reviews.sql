-- Version 17: what people have said of answers. An audit freezes the answers and their scores before any is looked at.

create table audits (
    audit_no  integer primary key,
    audit_id  text not null unique,                         -- names the audit in files that leave the project
    job       text not null,
    run_no    integer not null references runs,             -- the job's last run when the audit opened
    opened_at real not null,
    max_error real not null,                                -- the share of accepted fields that may be wrong
    seed      integer not null,                             -- with audit_no, fixes the order in which fields are drawn
    fields    text not null                                 -- JSON: the names of the fields that are reviewed, in order
) strict;
create index audits_job on audits (job);

create table audit_documents (
    audit_no   integer not null references audits,
    doc_id     text not null,
    request_id text not null,                               -- whose answer is audited; as in the column _request_id
    content    text not null,                               -- hash of the document; '' where none is known
    score      real not null,                               -- higher for what is more suspicious
    primary key (audit_no, doc_id)
) strict, without rowid;

-- Entries are never overwritten: of the entries about a field of an answer, the last one counts.
create table reviews (
    review_no  integer primary key,
    audit_no   integer not null references audits,
    doc_id     text not null,
    field      text not null,
    request_id text not null,                               -- whose answer was reviewed
    drawn      text not null,                               -- audit (at random) or queue (because it is suspicious)
    verdict    text not null,                               -- accepted, corrected or rejected
    value      text,                                        -- JSON: what the row has from now on; null: what it had
    reviewer   text not null,
    at         real not null
) strict;
create index reviews_document on reviews (doc_id, request_id);
create index reviews_audit on reviews (audit_no);
