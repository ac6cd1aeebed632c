BEGIN TRANSACTION;
CREATE TABLE attempts (
    attempt_no     integer primary key,
    request_no     integer not null references requests,
    run_no         integer not null references runs,
    job            text not null,
    doc_id         text not null,
    state          text not null,                 -- open, answered, failed (not billed), unknown (lost: maybe billed)
    reserved_nusd  integer not null,              -- its worst case
    cost_nusd      integer,                       -- null while open or unknown: then the worst case counts
    started_at     real not null,
    ended_at       real,
    outcome        text,                          -- what its reply meant, when it settled the request
    cause          text,                          -- why there is no reply
    status         integer,
    error_type     text,
    error_code     text,
    message        text,
    stop_reason    text,
    api_request_id text,
    model          text,
    input_tokens          integer,
    cache_write_5m_tokens integer,
    cache_write_1h_tokens integer,
    cache_read_tokens     integer,
    output_tokens         integer,
    seq            integer not null default 0
, batch_no integer references batches, latency_s real, first_byte_s real, price_no integer references prices, reserved_tokens integer, expected_nusd integer, counted_tokens integer generated always as (coalesce(
    input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens + output_tokens,
    iif(cost_nusd is null, reserved_tokens, 0), 0)) virtual, escalated text) strict;
INSERT INTO "attempts" VALUES(1,1,1,'stream','docs/copy.txt','answered',12042000,2524000,1.79597213042300128931e+09,1.7959721304442825317e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_011CJz2A6eEfW72hCQVj7Ct9','claude-sonnet-5-5',407,0,0,0,171,13,NULL,1.01825510000708163715e-02,9.74486299992349813692e-03,1,2021,NULL,NULL);
INSERT INTO "attempts" VALUES(2,2,1,'stream','docs/cut.txt','answered',12000000,2100000,1.7959721304470903873e+09,1.79597213046483635901e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_011CzDE3iSjdiHLRFW9vHx5o','claude-sonnet-5-5',395,0,0,0,131,14,NULL,1.38257529997645178809e-02,1.34299929995904676616e-02,1,2000,NULL,NULL);
INSERT INTO "attempts" VALUES(3,3,1,'stream','docs/invalid.txt','answered',11996000,1130000,1.7959721304481561184e+09,1.795972130474296093e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_011CEnkwbRDN8yD3cvYmaR4w','claude-sonnet-5-5',395,0,0,0,34,15,NULL,1.1351694000040879473e-02,1.09487610002361179795e-02,1,1998,NULL,NULL);
INSERT INTO "attempts" VALUES(4,4,1,'stream','docs/lost.txt','answered',12002000,1142000,1.79597213045761871334e+09,1.7959721304808013439e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_011CoGy4DcG9AhS5QG2tf2f2','claude-sonnet-5-5',396,0,0,0,35,16,NULL,1.5708046999861835502e-02,1.52487790001032408326e-02,1,2001,NULL,NULL);
INSERT INTO "attempts" VALUES(5,5,1,'stream','docs/refused.txt','answered',12002000,1164000,1.79597213045779109004e+09,1.79597213048616170883e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_011Cc19LLfuw3HSsv71uLwCA','claude-sonnet-5-5',397,0,0,0,37,17,NULL,1.64616040001419605687e-02,1.59516319999966071918e-02,1,2001,NULL,NULL);
INSERT INTO "attempts" VALUES(6,6,1,'stream','docs/rejected.txt','answered',12000000,1810000,1.79597213045790719985e+09,1.79597213048639678953e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_011CJ828NjhvQB1g56cT6EqY','claude-sonnet-5-5',395,0,0,0,102,18,NULL,1.55121809998490789439e-02,1.51971129998855758458e-02,1,2000,NULL,NULL);
INSERT INTO "attempts" VALUES(7,7,1,'stream','docs/second.txt','answered',12028000,1250000,1.79597213046468019486e+09,1.79597213048659157751e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_011CJdfj3pK2AFYmsDaMr4Ti','claude-sonnet-5-5',405,0,0,0,44,19,NULL,9.72867299969948362559e-03,0.00935763000006773,1,2014,NULL,NULL);
CREATE TABLE batches (
    batch_no       integer primary key,
    nonce          text not null unique,          -- in the custom_id of every member
    run_no         integer not null references runs,
    job            text not null,
    model          text not null,
    schema         text not null,                 -- of the answers, as JSON: they may come when the job file has changed
    state          text not null,                 -- prepared, submitted, ended, collected, abandoned
    batch_id       text unique,                   -- the API's
    adopted        integer not null default 0,    -- found in the list, and not yet proven by a custom_id
    requests       integer not null,
    bytes          integer not null,
    newest_before  text,                          -- the newest batch of the workspace just before it was sent
    prepared_at    real not null,
    unclear_at     real,                          -- since when nobody knows whether it was created
    empty_scans    integer not null default 0,    -- how often it was looked for in vain
    scanned_at     real,
    clock_ahead    real,                          -- of the API's clock before ours at the last look, in seconds
    created_at     real,                          -- this and the next two by the API's clock
    expires_at     real,
    ended_at       real,
    cancel_at      real,                          -- when we asked for its cancellation
    next_poll_at   real,
    downloads      integer not null default 0,    -- of its results, to the end
    note           text
) strict;
CREATE TABLE documents (
    document_no    integer primary key,
    job            text not null,
    doc_id         text not null,
    source         text not null,
    content_sha    text not null,
    request_no     integer references requests,   -- null when none can be made
    outcome        text,                          -- skipped or unreadable; otherwise the request's counts
    reason         text,
    max_tokens     integer,                       -- set by `retry` for a truncated document
    row_request_no integer references requests,   -- whose output is its row in the output table
    run_no         integer not null references runs,
    seq            integer not null,              -- of the latest change to any of this
    row_seq        integer not null default 0,    -- of the latest change to its row
    unique (job, doc_id)
) strict;
INSERT INTO "documents" VALUES(1,'stream','docs/copy.txt','docs/copy.txt','368764bab4300e6e5ea77f9082b0cbe9dd15d300839339f2bc54bc117bd03393',1,NULL,NULL,NULL,1,1,13,13);
INSERT INTO "documents" VALUES(2,'stream','docs/cut.txt','docs/cut.txt','88f9e50ff29440c982f9cb420fb74b368deb6072c36cdd639fc2846296f8d487',2,NULL,NULL,NULL,2,1,14,14);
INSERT INTO "documents" VALUES(3,'stream','docs/empty.txt','docs/empty.txt','e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',NULL,'skipped','the document is empty',NULL,NULL,1,5,5);
INSERT INTO "documents" VALUES(4,'stream','docs/first.txt','docs/first.txt','368764bab4300e6e5ea77f9082b0cbe9dd15d300839339f2bc54bc117bd03393',1,NULL,NULL,NULL,1,1,13,13);
INSERT INTO "documents" VALUES(5,'stream','docs/invalid.txt','docs/invalid.txt','b6436490f7bf53a82b9ded2f2185364a34717e5902a6f49b7d5a98e95c88ed16',3,NULL,NULL,NULL,3,1,15,15);
INSERT INTO "documents" VALUES(6,'stream','docs/lost.txt','docs/lost.txt','347ffa4354f8927ed5342fd385b70e1bafa9b942e5ec52e362ec88295679003f',4,NULL,NULL,NULL,4,1,16,16);
INSERT INTO "documents" VALUES(7,'stream','docs/refused.txt','docs/refused.txt','2f236463e9239a7d311467a58813280a9152cd3d01ad0ba18962a3258e9f7c0a',5,NULL,NULL,NULL,5,1,17,17);
INSERT INTO "documents" VALUES(8,'stream','docs/rejected.txt','docs/rejected.txt','03767237d01cae3cf28dc22e8bceee5b1eba42ae4070070b78834bb4c8534ae5',6,NULL,NULL,NULL,6,1,18,18);
INSERT INTO "documents" VALUES(9,'stream','docs/second.txt','docs/second.txt','18885edf5749b1a2f8f043831493d7cb9c5309e6b06a396e4432c2449e2f52ce',7,NULL,NULL,NULL,7,1,19,19);
CREATE TABLE foreign_batches (
    batch_no integer not null references batches,
    batch_id text not null,
    primary key (batch_no, batch_id)
) strict, without rowid;
CREATE TABLE learnt_limits (
    model                    text primary key,
    requests_per_minute      integer,
    input_tokens_per_minute  integer,
    output_tokens_per_minute integer,
    concurrency              integer,
    learnt_at                real not null
) strict, without rowid;
INSERT INTO "learnt_limits" VALUES('claude-sonnet-5-5',1000,2000000,400000,5,1.79597213050438404089e+09);
CREATE TABLE meta (
    key   text primary key,
    value any
) strict, without rowid;
INSERT INTO "meta" VALUES('ledger_id','77ad35243fe5495d8e3ab5572d96d759');
INSERT INTO "meta" VALUES('sequence',20);
CREATE TABLE minutes (
    run_no              integer not null references runs,
    model               text not null,
    minute              integer not null,        -- since 1970
    requests            integer not null,
    input_tokens        integer not null,        -- without cache reads
    output_tokens       integer not null,
    requests_limit      integer,                 -- a minute; null: not known
    input_tokens_limit  integer,
    output_tokens_limit integer,
    primary key (run_no, model, minute)
) strict, without rowid;
INSERT INTO "minutes" VALUES(1,'claude-sonnet-5-5',29932868,7,2790,554,1000,2000000,400000);
CREATE TABLE pilot_documents (
    run_no integer not null references pilots,
    doc_id text not null,
    primary key (run_no, doc_id)
) strict, without rowid;
CREATE TABLE pilots (
    run_no     integer primary key references runs,
    begins_run integer not null,             -- whether the run began with it, so that its estimate is only the pilot's
    went_on    integer not null default 0    -- whether the rest was let in
) strict;
CREATE TABLE prices (
    price_no       integer primary key,
    model          text not null,
    table_date     text not null,                 -- of the file, as 2026-11-20
    valid_from     text,                          -- null: ever
    source         text not null,                 -- the file, as shown to people
    above_tokens   integer,                       -- set for the rates of longer prompts than this
    divisor        integer not null,              -- of the sum over all classes, rounded up: 2 in batches
    input_nusd          integer not null,         -- these five for one token
    output_nusd         integer not null,
    cache_write_5m_nusd integer not null,
    cache_write_1h_nusd integer not null,
    cache_read_nusd     integer not null
) strict;
INSERT INTO "prices" VALUES(1,'claude-sonnet-5-5','2026-11-20',NULL,'the package''s own table',NULL,1,2000,10000,2500,4000,100);
CREATE TABLE replies (
    attempt_no integer primary key references attempts,
    raw        text not null
) strict;
INSERT INTO "replies" VALUES(1,'{"model":"claude-sonnet-5-5","id":"msg_01A7Ssitxu7LZu5jAJrBBczi","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"","signature":"d1rsakXrHZdEik/4DnsmaW7FBOOoWxdW7nlvKOzeJ8Jk5mB1GcMkOTT+A251wQr0zL7l5OKP1aKndvZL0s5NEw=="},{"type":"text","text":"{\"title\":\"A lease between Ann and Bob, from 1 May 2026. \\\"Rent is due monthly.\\\"\",\"day\":\"2026-05-01\",\"parties\":[\"Ann\",\"Bob\"],\"quote\":null}"}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":407,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":171,"service_tier":"standard","inference_geo":"global","output_tokens_details":{"thinking_tokens":112}}}');
INSERT INTO "replies" VALUES(2,'{"model":"claude-sonnet-5-5","id":"msg_012zcVAUnBpShihVLTY4utKD","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"","signature":"HQzZiUL20c6idDZuKQtOQe0TzrKWGN9SYL8uiD/5aLWDXjr8YaMov3QEq6n+x5yXsD9JQEq0CrVtOWOCNpcbfQ=="},{"type":"text","text":"{\"title\":\"To this one the answer is CUT short.\",\"day\":null,\"parties\":[],\"quote\":null}"}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":395,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":131,"service_tier":"standard","inference_geo":"global","output_tokens_details":{"thinking_tokens":96}}}');
INSERT INTO "replies" VALUES(3,'{"model":"claude-sonnet-5-5","id":"msg_01TmoV7biuhCV7ac3dcMw5kx","type":"message","role":"assistant","content":[{"type":"text","text":"{\"title\":\"To this one the answer is INVALID.\",\"day\":null,\"parties\":[],\"quote\":null}"}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":395,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":34,"service_tier":"standard","inference_geo":"global","output_tokens_details":{"thinking_tokens":0}}}');
INSERT INTO "replies" VALUES(4,'{"model":"claude-sonnet-5-5","id":"msg_01EsPpG17cp6WmfiZgJQEwWm","type":"message","role":"assistant","content":[{"type":"text","text":"{\"title\":\"The first answer to this one is LOST.\",\"day\":null,\"parties\":[],\"quote\":null}"}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":396,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":35,"service_tier":"standard","inference_geo":"global","output_tokens_details":{"thinking_tokens":0}}}');
INSERT INTO "replies" VALUES(5,'{"model":"claude-sonnet-5-5","id":"msg_01xdDVQD6sGSFuB386eJh7p8","type":"message","role":"assistant","content":[{"type":"text","text":"{\"title\":\"This one is REFUSED by whoever may refuse.\",\"day\":null,\"parties\":[],\"quote\":null}"}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":397,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":37,"service_tier":"standard","inference_geo":"global","output_tokens_details":{"thinking_tokens":0}}}');
INSERT INTO "replies" VALUES(6,'{"model":"claude-sonnet-5-5","id":"msg_01A7hACo2C1g9kMfVdDdTeGw","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"","signature":"c377vPrOmzYRGfoaWBYLb8iyJ9Kz2znyGdDqAZAN/2J+4w9s/gkGAKADPS+sVBbcVDhVafSm0Vb0+5y+dFocXg=="},{"type":"text","text":"{\"title\":\"This one is REJECTED as a request.\",\"day\":null,\"parties\":[],\"quote\":null}"}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":395,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":102,"service_tier":"standard","inference_geo":"global","output_tokens_details":{"thinking_tokens":68}}}');
INSERT INTO "replies" VALUES(7,'{"model": "claude-sonnet-5-5", "id": "msg_01csNPzyf5G96q8dKEB4BqjS", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "{\"title\":\"\u8cc3\u8cb8\u501f\u5951\u7d04\u66f8 \u7532\u3068\u4e59\u306f\u6b21\u306e\u3068\u304a\u308a\u5951\u7d04\u3059\u308b\u3002\",\"day\":null,\"parties\":[],\"quote\":null}"}], "stop_reason": "end_turn", "stop_sequence": null, "stop_details": null, "usage": {"input_tokens": 405, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens": 44, "service_tier": "standard", "inference_geo": "global", "output_tokens_details": {"thinking_tokens": 0}}}');
CREATE TABLE requests (
    request_no     integer primary key,
    request_id     text not null unique,
    model          text not null,
    counted_tokens integer not null,              -- of the document, by the local tokenizer
    text_class     text not null,
    outcome        text,                          -- null while pending
    reason         text,
    output         text,                          -- JSON, when succeeded
    attempt_no     integer references attempts    -- the attempt that settled it
, guessed integer not null default 0) strict;
INSERT INTO "requests" VALUES(1,'569008ca4bb082d6821b9da42e4e018a','claude-sonnet-5-5',21,'prose','succeeded',NULL,'{"title": "A lease between Ann and Bob, from 1 May 2026. \"Rent is due monthly.\"", "day": "2026-05-01", "parties": ["Ann", "Bob"], "quote": null}',1,0);
INSERT INTO "requests" VALUES(2,'1ca0c143aa8964ac5aa852c83164f5ce','claude-sonnet-5-5',9,'prose','succeeded',NULL,'{"title": "To this one the answer is CUT short.", "day": null, "parties": [], "quote": null}',2,0);
INSERT INTO "requests" VALUES(3,'8ced3e0bb5123bd22e972f50c6d6575c','claude-sonnet-5-5',8,'prose','succeeded',NULL,'{"title": "To this one the answer is INVALID.", "day": null, "parties": [], "quote": null}',3,0);
INSERT INTO "requests" VALUES(4,'784ac9fc5e20a44f4317945215794234','claude-sonnet-5-5',10,'prose','succeeded',NULL,'{"title": "The first answer to this one is LOST.", "day": null, "parties": [], "quote": null}',4,0);
INSERT INTO "requests" VALUES(5,'6b2c31c84072850c4ae1f2c6450d015d','claude-sonnet-5-5',10,'prose','succeeded',NULL,'{"title": "This one is REFUSED by whoever may refuse.", "day": null, "parties": [], "quote": null}',5,0);
INSERT INTO "requests" VALUES(6,'96d9560dffeed7513a852a7b6315e265','claude-sonnet-5-5',9,'prose','succeeded',NULL,'{"title": "This one is REJECTED as a request.", "day": null, "parties": [], "quote": null}',6,0);
INSERT INTO "requests" VALUES(7,'b09bf56ece6b0a726c751b0060310ef9','claude-sonnet-5-5',30,'other script','succeeded',NULL,'{"title": "\u8cc3\u8cb8\u501f\u5951\u7d04\u66f8 \u7532\u3068\u4e59\u306f\u6b21\u306e\u3068\u304a\u308a\u5951\u7d04\u3059\u308b\u3002", "day": null, "parties": [], "quote": null}',7,0);
CREATE TABLE runs (
    run_no            integer primary key,
    run_id            text not null unique,
    job               text not null,
    job_path          text not null,
    fingerprint       text not null,              -- of everything besides the documents that makes requests
    model             text not null,
    simulated         integer not null,
    state             text not null,              -- running, interrupted, stopped, finished
    exit_code         integer,
    note              text,                       -- why it stopped
    documents         integer not null,           -- selected by the plan
    to_send           integer not null,           -- of those, without an answer when the run began
    cap_nusd          integer not null,
    estimate_nusd     integer not null,
    estimate_low_nusd integer not null,
    estimate_high_nusd integer not null,
    committed_nusd    integer not null default 0, -- spent + reserved + unknown; kept by the triggers below
    pid               integer not null,
    host              text not null,
    started_at        real not null,
    ended_at          real
, route text not null default 'stream', deadline_at real, estimate_input_tokens integer, estimate_output_tokens integer, expected_nusd integer not null default 0) strict;
INSERT INTO "runs" VALUES(1,'sim-4f1c','stream','jobs/stream.toml','a146e608e5372eeb41f34f8f6f248de757d0e08449d76e38880bf78b3917cfb7','claude-sonnet-5-5',1,'finished',0,NULL,9,7,2000000000,17438405,5846493,55346687,11120000,4711,'host',1.79597213034802389141e+09,1.79597213051931476595e+09,'stream',NULL,2794,1185,11120000);
CREATE TABLE spending (
    day            integer not null,        -- since 1970, in UTC: when the attempt was started
    model          text not null,           -- of the request
    committed_nusd integer not null,        -- spent + reserved + unknown, like that of a run
    tokens         integer not null,
    primary key (day, model)
) strict, without rowid;
INSERT INTO "spending" VALUES(20786,'claude-sonnet-5-5',11120000,3344);
CREATE TABLE waits (
    run_no  integer not null references runs,
    cause   text not null,
    seconds real not null,
    times   integer not null,
    primary key (run_no, cause)
) strict, without rowid;
INSERT INTO "waits" VALUES(1,'concurrency',3.29956000314268749207e-04,7);
INSERT INTO "waits" VALUES(1,'input tokens',1.69576000189408659934e-04,8);
INSERT INTO "waits" VALUES(1,'output tokens',7.55399996705818921327e-05,8);
INSERT INTO "waits" VALUES(1,'requests',1.49029000567679759114e-04,8);
CREATE INDEX runs_job on runs (job, run_no);
CREATE INDEX documents_request on documents (request_no);
CREATE INDEX documents_run on documents (run_no, document_no);
CREATE INDEX documents_seq on documents (job, seq);
CREATE INDEX documents_row_seq on documents (job, row_seq);
CREATE INDEX attempts_request on attempts (request_no);
CREATE INDEX attempts_run on attempts (run_no);
CREATE INDEX attempts_seq on attempts (job, seq);
CREATE INDEX attempts_open on attempts (run_no) where state = 'open';
CREATE VIEW document_status as
select
    d.document_no, d.job, d.doc_id, d.doc_id as id, d.source,
    coalesce(d.outcome, r.outcome, 'pending') as status,
    case when d.outcome is not null then d.reason else r.reason end as reason,
    r.request_id, r.request_no, r.model, r.counted_tokens as tokens, r.attempt_no,
    (select run_id from runs where runs.run_no = d.run_no) as run_id,
    (select count(*) from attempts a where a.request_no = d.request_no) as attempts,
    (select coalesce(sum(coalesce(a.cost_nusd, a.reserved_nusd)), 0) / 1e9
       from attempts a where a.request_no = d.request_no) as cost_usd,
    d.run_no, d.seq, d.row_request_no, d.max_tokens, d.content_sha
from documents d left join requests r using (request_no);
CREATE INDEX batches_open on batches (job) where state in ('prepared', 'submitted', 'ended');
CREATE INDEX attempts_batch on attempts (batch_no, request_no) where batch_no is not null;
CREATE INDEX attempts_latency on attempts (run_no, latency_s) where state = 'answered' and latency_s is not null;
CREATE INDEX attempts_first_byte on attempts (run_no, first_byte_s)
where state = 'answered' and first_byte_s is not null;
CREATE INDEX attempts_document on attempts (run_no, doc_id);
CREATE INDEX attempts_held on attempts (run_no, reserved_nusd) where cost_nusd is null and state != 'open';
CREATE TRIGGER attempt_reserves after insert on attempts begin
    update runs set
        committed_nusd = committed_nusd + coalesce(new.cost_nusd, new.reserved_nusd),
        expected_nusd = expected_nusd + coalesce(new.cost_nusd, new.expected_nusd, new.reserved_nusd)
    where run_no = new.run_no;
    insert into spending
    select cast(new.started_at / 86400 as integer), model, coalesce(new.cost_nusd, new.reserved_nusd), new.counted_tokens
    from requests where request_no = new.request_no
    on conflict (day, model) do update set
        committed_nusd = committed_nusd + excluded.committed_nusd, tokens = tokens + excluded.tokens;
end;
CREATE TRIGGER attempt_settles after update of cost_nusd, reserved_nusd, expected_nusd, reserved_tokens, input_tokens,
    cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, output_tokens on attempts
begin
    update runs set
        committed_nusd = committed_nusd
            + coalesce(new.cost_nusd, new.reserved_nusd) - coalesce(old.cost_nusd, old.reserved_nusd),
        expected_nusd = expected_nusd + coalesce(new.cost_nusd, new.expected_nusd, new.reserved_nusd)
            - coalesce(old.cost_nusd, old.expected_nusd, old.reserved_nusd)
    where run_no = new.run_no;
    update spending set
        committed_nusd = committed_nusd
            + coalesce(new.cost_nusd, new.reserved_nusd) - coalesce(old.cost_nusd, old.reserved_nusd),
        tokens = tokens + new.counted_tokens - old.counted_tokens
    where day = cast(new.started_at / 86400 as integer)
        and model = (select model from requests where request_no = new.request_no);
end;
CREATE TRIGGER attempt_forgotten after delete on attempts begin
    update runs set
        committed_nusd = committed_nusd - coalesce(old.cost_nusd, old.reserved_nusd),
        expected_nusd = expected_nusd - coalesce(old.cost_nusd, old.expected_nusd, old.reserved_nusd)
    where run_no = old.run_no;
    update spending set
        committed_nusd = committed_nusd - coalesce(old.cost_nusd, old.reserved_nusd), tokens = tokens - old.counted_tokens
    where day = cast(old.started_at / 86400 as integer)
        and model = (select model from requests where request_no = old.request_no);
end;
COMMIT;
PRAGMA user_version = 8;
