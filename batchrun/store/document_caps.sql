-- What a run has spent on a document, whatever it asked: looked up before each of its attempts when there is a cap.

create index attempts_document on attempts (run_no, doc_id);
