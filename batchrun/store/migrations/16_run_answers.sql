-- Version 16: what every run has answered. `documents` has only what the documents are now.

create table run_answers (
    run_no     integer not null references runs,
    doc_id     text not null,
    request_no integer references requests,                 -- null without a request, and for documents asked in parts
    output     text,                                        -- JSON: the merged answer of a document asked in parts
    primary key (run_no, doc_id)
) strict, without rowid;

insert into run_answers (run_no, doc_id, request_no)
select run_no, doc_id, request_no from attempts
where attempt_no in (select max(attempt_no) from attempts where state = 'answered' group by run_no, doc_id)
    and doc_id not like '% [part % of %]';
insert or replace into run_answers (run_no, doc_id, request_no)
select run_no, doc_id, request_no from documents where whole is null;
insert or replace into run_answers (run_no, doc_id, output)
select run_no, doc_id, output from wholes where run_no is not null;

create trigger document_of_run after insert on documents when new.whole is null begin
    insert into run_answers (run_no, doc_id, request_no) values (new.run_no, new.doc_id, new.request_no)
    on conflict do update set request_no = excluded.request_no, output = null;
end;
create trigger request_of_document after update of run_no, request_no on documents when new.whole is null begin
    insert into run_answers (run_no, doc_id, request_no) values (new.run_no, new.doc_id, new.request_no)
    on conflict do update set request_no = excluded.request_no, output = null;
end;
create trigger answer_of_whole after update of merged_of on wholes when new.run_no is not null begin
    insert into run_answers (run_no, doc_id, output) values (new.run_no, new.doc_id, new.output)
    on conflict do update set request_no = null, output = excluded.output;
end;
