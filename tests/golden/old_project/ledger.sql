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
INSERT INTO "attempts" VALUES(1,1,1,'stream','docs/copy.txt','answered',11980000,940000,1.79597212776493382448e+09,1.79597212777369165427e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-sonnet-5-5',170,0,0,0,60,12,NULL,6.2330670002666010987e-03,5.33262599992667674086e-03,1,1990,NULL,NULL);
INSERT INTO "attempts" VALUES(2,2,1,'stream','docs/cut.txt','answered',11936000,924000,1.79597212777792644504e+09,1.79597212778514695166e+09,'truncated',NULL,200,NULL,NULL,NULL,'max_tokens','req_golden','claude-sonnet-5-5',162,0,0,0,60,13,NULL,4.72008199994888855144e-03,4.15855400024156551808e-03,1,1968,NULL,NULL);
INSERT INTO "attempts" VALUES(3,3,2,'stream','docs/invalid.txt','answered',11934000,922000,1.79597212807599234578e+09,1.79597212808372426028e+09,'invalid',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-sonnet-5-5',161,0,0,0,60,27,NULL,5.5828629997449752409e-03,5.26162400001339847221e-03,1,1967,NULL,NULL);
INSERT INTO "attempts" VALUES(4,4,2,'stream','docs/lost.txt','unknown',10452000,NULL,1.79597212808718442915e+09,1.79597212810987472532e+09,NULL,'dropped',NULL,NULL,NULL,'the connection broke: Server disconnected',NULL,NULL,'claude-sonnet-5-5',NULL,NULL,NULL,NULL,NULL,28,NULL,1.20481700000709679443e-02,NULL,NULL,1226,NULL,NULL);
INSERT INTO "attempts" VALUES(5,5,2,'stream','docs/refused.txt','answered',11940000,926000,1.79597212808733868597e+09,1.79597212811002230649e+09,'refused',NULL,200,NULL,NULL,NULL,'refusal','req_golden','claude-sonnet-5-5',163,0,0,0,60,29,NULL,1.17184239998096018098e-02,1.12381169997206598054e-02,1,1970,NULL,NULL);
INSERT INTO "attempts" VALUES(6,6,2,'stream','docs/rejected.txt','failed',11936000,0,1.79597212808749127389e+09,1.7959721281518316269e+09,'rejected','http_400',400,'invalid_request_error',NULL,'not like this',NULL,'req_golden','claude-sonnet-5-5',NULL,NULL,NULL,NULL,NULL,31,NULL,5.72515030003160063643e-02,NULL,NULL,1968,NULL,NULL);
INSERT INTO "attempts" VALUES(7,7,2,'stream','docs/second.txt','answered',12012000,916000,1.79597212808763670921e+09,1.79597212811036610604e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-sonnet-5-5',158,0,0,0,60,30,NULL,9.12281800037817447446e-03,8.78201199975592317059e-03,1,2006,NULL,NULL);
INSERT INTO "attempts" VALUES(8,4,2,'stream','docs/lost.txt','answered',11940000,924000,1.79597212815691113473e+09,1.79597212816215634351e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-sonnet-5-5',162,0,0,0,60,32,NULL,3.3021949998328636866e-03,2.918188999956328189e-03,1,1970,NULL,NULL);
INSERT INTO "attempts" VALUES(9,8,3,'stream','docs/cut.txt','answered',21936000,924000,1.79597212843275594708e+09,1.79597212843939018243e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-sonnet-5-5',162,0,0,0,60,37,NULL,4.40706799963663797825e-03,3.9765939995959342923e-03,1,2968,NULL,NULL);
INSERT INTO "attempts" VALUES(10,9,4,'batch','docs/copy.txt','answered',5990000,470000,1.7959721287130708694e+09,1.79597212875311160089e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn',NULL,'claude-sonnet-5-5',170,0,0,0,60,51,1,NULL,NULL,2,1990,NULL,NULL);
INSERT INTO "attempts" VALUES(11,10,4,'batch','docs/cut.txt','answered',5968000,461000,1.7959721287130708694e+09,1.79597212875364136697e+09,'truncated',NULL,200,NULL,NULL,NULL,'max_tokens',NULL,'claude-sonnet-5-5',161,0,0,0,60,52,1,NULL,NULL,2,1968,NULL,NULL);
INSERT INTO "attempts" VALUES(12,11,4,'batch','docs/invalid.txt','answered',5967000,461000,1.7959721287130708694e+09,1.79597212875372719761e+09,'invalid',NULL,200,NULL,NULL,NULL,'end_turn',NULL,'claude-sonnet-5-5',161,0,0,0,60,53,1,NULL,NULL,2,1967,NULL,NULL);
INSERT INTO "attempts" VALUES(13,12,4,'batch','docs/lost.txt','failed',5970000,0,1.7959721287130708694e+09,1.79597212875379943844e+09,NULL,'expired',NULL,NULL,NULL,'the batch expired before it was processed',NULL,NULL,'claude-sonnet-5-5',NULL,NULL,NULL,NULL,NULL,54,1,NULL,NULL,NULL,1970,NULL,NULL);
INSERT INTO "attempts" VALUES(14,13,4,'batch','docs/refused.txt','answered',5970000,463000,1.7959721287130708694e+09,1.79597212875384354587e+09,'refused',NULL,200,NULL,NULL,NULL,'refusal',NULL,'claude-sonnet-5-5',163,0,0,0,60,55,1,NULL,NULL,2,1970,NULL,NULL);
INSERT INTO "attempts" VALUES(15,14,4,'batch','docs/rejected.txt','failed',5968000,0,1.7959721287130708694e+09,1.79597212875390982627e+09,'rejected','http_400',400,'invalid_request_error',NULL,'not like this',NULL,NULL,'claude-sonnet-5-5',NULL,NULL,NULL,NULL,NULL,56,1,NULL,NULL,NULL,1968,NULL,NULL);
INSERT INTO "attempts" VALUES(16,15,4,'batch','docs/second.txt','answered',6006000,458000,1.7959721287130708694e+09,1.7959721287539703846e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn',NULL,'claude-sonnet-5-5',158,0,0,0,60,57,1,NULL,NULL,2,2006,NULL,NULL);
INSERT INTO "attempts" VALUES(17,12,4,'batch','docs/lost.txt','answered',5970000,462000,1.79597212876514148709e+09,1.79597212880232119562e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn',NULL,'claude-sonnet-5-5',162,0,0,0,60,58,2,NULL,NULL,2,1970,NULL,NULL);
INSERT INTO "attempts" VALUES(18,16,5,'cascade','docs/first.txt','answered',599000,47000,1.79597212904596734042e+09,1.79597212905489206314e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-haiku-5-5',170,0,0,0,60,67,NULL,5.47229699986928608268e-03,4.91538699998272932134e-03,3,1990,NULL,'no evidence for quote');
INSERT INTO "attempts" VALUES(19,17,5,'cascade','docs/second.txt','answered',600600,45800,1.7959721290620515346e+09,1.79597212907661986347e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-haiku-5-5',158,0,0,0,60,69,NULL,1.02069460003804124426e-02,0.0093986369997765,3,2006,NULL,'no evidence for quote');
INSERT INTO "attempts" VALUES(20,18,5,'cascade','docs/first.txt','answered',11980000,940000,1.7959721290622298718e+09,1.7959721290786077976e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-sonnet-5-5',170,0,0,0,60,70,NULL,1.09228230003282078541e-02,1.02659670001230551861e-02,1,1990,NULL,NULL);
INSERT INTO "attempts" VALUES(21,19,5,'cascade','docs/second.txt','answered',12012000,916000,1.79597212907899785039e+09,1.79597212908524441724e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-sonnet-5-5',158,0,0,0,60,71,NULL,3.80378199997721822001e-03,0.0026519609996285,1,2006,NULL,NULL);
INSERT INTO "attempts" VALUES(22,20,6,'ladder','docs/first.txt','answered',11980000,940000,1.79597212932058715819e+09,1.79597212932672834397e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-sonnet-5-5',170,0,0,0,60,78,NULL,4.13683299984768382273e-03,3.74555200005488586612e-03,1,1990,NULL,NULL);
INSERT INTO "attempts" VALUES(23,21,6,'ladder','docs/refused.txt','answered',11940000,926000,1.79597212933152770991e+09,1.79597212933671617502e+09,'refused',NULL,200,NULL,NULL,NULL,'refusal','req_golden','claude-sonnet-5-5',163,0,0,0,60,80,NULL,3.07239600033426540903e-03,2.7038279999942460563e-03,1,1970,NULL,'refused');
INSERT INTO "attempts" VALUES(24,22,6,'ladder','docs/refused.txt','answered',5970000,459000,1.79597212933938908578e+09,1.79597212934446740146e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-haiku-4-5',159,0,0,0,60,81,NULL,2.90093599960528081282e-03,2.48472900011620367877e-03,4,1970,NULL,NULL);
INSERT INTO "attempts" VALUES(25,23,7,'cached','docs/first.txt','answered',19048000,5270000,1.79597212958373069757e+09,1.79597212959091496464e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-sonnet-5-5',935,0,700,0,60,89,NULL,4.76393400003871647641e-03,3.97124399978565634228e-03,1,3281,NULL,NULL);
INSERT INTO "attempts" VALUES(26,24,7,'cached','docs/second.txt','answered',19080000,2516000,1.79597212959344315532e+09,1.79597212959842443468e+09,'succeeded',NULL,200,NULL,NULL,NULL,'end_turn','req_golden','claude-sonnet-5-5',923,0,0,700,60,90,NULL,3.54229300000952207483e-03,2.89381299990054685622e-03,1,3297,NULL,NULL);
INSERT INTO "attempts" VALUES(27,25,8,'waiting','docs/first.txt','open',6228000,NULL,1.79597213081716322894e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'claude-sonnet-5-5',NULL,NULL,NULL,NULL,NULL,0,3,NULL,NULL,NULL,1990,NULL,NULL);
INSERT INTO "attempts" VALUES(28,26,8,'waiting','docs/second.txt','open',6244000,NULL,1.79597213081716322894e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'claude-sonnet-5-5',NULL,NULL,NULL,NULL,NULL,0,3,NULL,NULL,NULL,2006,NULL,NULL);
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
INSERT INTO "batches" VALUES(1,'22924770cfeb',4,'batch','claude-sonnet-5-5','{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"title": {"type": "string"}, "day": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, "parties": {"type": "array", "items": {"type": "string"}}, "quote": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "required": ["title", "day", "parties", "quote"], "additionalProperties": false}','collected','msgbatch_golden1',0,7,4738,NULL,1.7959721287130708694e+09,NULL,0,NULL,NULL,1795953600.0,4070908800.0,1795953600.0,NULL,NULL,0,NULL);
INSERT INTO "batches" VALUES(2,'5eb29f3db6d8',4,'batch','claude-sonnet-5-5','{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"title": {"type": "string"}, "day": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, "parties": {"type": "array", "items": {"type": "string"}}, "quote": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "required": ["title", "day", "parties", "quote"], "additionalProperties": false}','collected','msgbatch_golden2',0,1,669,'msgbatch_golden1',1.79597212876514148709e+09,NULL,0,NULL,NULL,1795953600.0,4070908800.0,1795953600.0,NULL,NULL,0,NULL);
INSERT INTO "batches" VALUES(3,'f5c3f57a71d5',8,'waiting','claude-sonnet-5-5','{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"title": {"type": "string"}, "day": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, "parties": {"type": "array", "items": {"type": "string"}}, "quote": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "required": ["title", "day", "parties", "quote"], "additionalProperties": false}','submitted','msgbatch_golden3',0,2,1575,'msgbatch_golden2',1.79597213081716322894e+09,NULL,0,NULL,NULL,1795953600.0,4070908800.0,NULL,NULL,1.79597213084737396238e+09,0,NULL);
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
INSERT INTO "documents" VALUES(1,'stream','docs/copy.txt','docs/copy.txt','368764bab4300e6e5ea77f9082b0cbe9dd15d300839339f2bc54bc117bd03393',1,NULL,NULL,NULL,1,1,12,12);
INSERT INTO "documents" VALUES(2,'stream','docs/cut.txt','docs/cut.txt','88f9e50ff29440c982f9cb420fb74b368deb6072c36cdd639fc2846296f8d487',8,NULL,NULL,2000,8,3,37,37);
INSERT INTO "documents" VALUES(3,'stream','docs/empty.txt','docs/empty.txt','e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',NULL,'skipped','the document is empty',NULL,NULL,1,5,5);
INSERT INTO "documents" VALUES(4,'stream','docs/first.txt','docs/first.txt','368764bab4300e6e5ea77f9082b0cbe9dd15d300839339f2bc54bc117bd03393',1,NULL,NULL,NULL,1,1,12,12);
INSERT INTO "documents" VALUES(5,'stream','docs/invalid.txt','docs/invalid.txt','b6436490f7bf53a82b9ded2f2185364a34717e5902a6f49b7d5a98e95c88ed16',3,NULL,NULL,NULL,NULL,2,27,27);
INSERT INTO "documents" VALUES(6,'stream','docs/lost.txt','docs/lost.txt','347ffa4354f8927ed5342fd385b70e1bafa9b942e5ec52e362ec88295679003f',4,NULL,NULL,NULL,4,2,32,32);
INSERT INTO "documents" VALUES(7,'stream','docs/refused.txt','docs/refused.txt','2f236463e9239a7d311467a58813280a9152cd3d01ad0ba18962a3258e9f7c0a',5,NULL,NULL,NULL,NULL,2,29,29);
INSERT INTO "documents" VALUES(8,'stream','docs/rejected.txt','docs/rejected.txt','03767237d01cae3cf28dc22e8bceee5b1eba42ae4070070b78834bb4c8534ae5',6,NULL,NULL,NULL,NULL,2,31,31);
INSERT INTO "documents" VALUES(9,'stream','docs/second.txt','docs/second.txt','18885edf5749b1a2f8f043831493d7cb9c5309e6b06a396e4432c2449e2f52ce',7,NULL,NULL,NULL,7,2,30,30);
INSERT INTO "documents" VALUES(10,'batch','docs/copy.txt','docs/copy.txt','368764bab4300e6e5ea77f9082b0cbe9dd15d300839339f2bc54bc117bd03393',9,NULL,NULL,NULL,9,4,51,51);
INSERT INTO "documents" VALUES(11,'batch','docs/cut.txt','docs/cut.txt','88f9e50ff29440c982f9cb420fb74b368deb6072c36cdd639fc2846296f8d487',10,NULL,NULL,NULL,NULL,4,52,52);
INSERT INTO "documents" VALUES(12,'batch','docs/empty.txt','docs/empty.txt','e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',NULL,'skipped','the document is empty',NULL,NULL,4,43,43);
INSERT INTO "documents" VALUES(13,'batch','docs/first.txt','docs/first.txt','368764bab4300e6e5ea77f9082b0cbe9dd15d300839339f2bc54bc117bd03393',9,NULL,NULL,NULL,9,4,51,51);
INSERT INTO "documents" VALUES(14,'batch','docs/invalid.txt','docs/invalid.txt','b6436490f7bf53a82b9ded2f2185364a34717e5902a6f49b7d5a98e95c88ed16',11,NULL,NULL,NULL,NULL,4,53,53);
INSERT INTO "documents" VALUES(15,'batch','docs/lost.txt','docs/lost.txt','347ffa4354f8927ed5342fd385b70e1bafa9b942e5ec52e362ec88295679003f',12,NULL,NULL,NULL,12,4,58,58);
INSERT INTO "documents" VALUES(16,'batch','docs/refused.txt','docs/refused.txt','2f236463e9239a7d311467a58813280a9152cd3d01ad0ba18962a3258e9f7c0a',13,NULL,NULL,NULL,NULL,4,55,55);
INSERT INTO "documents" VALUES(17,'batch','docs/rejected.txt','docs/rejected.txt','03767237d01cae3cf28dc22e8bceee5b1eba42ae4070070b78834bb4c8534ae5',14,NULL,NULL,NULL,NULL,4,56,56);
INSERT INTO "documents" VALUES(18,'batch','docs/second.txt','docs/second.txt','18885edf5749b1a2f8f043831493d7cb9c5309e6b06a396e4432c2449e2f52ce',15,NULL,NULL,NULL,15,4,57,57);
INSERT INTO "documents" VALUES(19,'cascade','docs/empty.txt','docs/empty.txt','e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',NULL,'skipped','the document is empty',NULL,NULL,5,62,62);
INSERT INTO "documents" VALUES(20,'cascade','docs/first.txt','docs/first.txt','368764bab4300e6e5ea77f9082b0cbe9dd15d300839339f2bc54bc117bd03393',18,NULL,NULL,NULL,18,5,70,70);
INSERT INTO "documents" VALUES(21,'cascade','docs/second.txt','docs/second.txt','18885edf5749b1a2f8f043831493d7cb9c5309e6b06a396e4432c2449e2f52ce',19,NULL,NULL,NULL,19,5,71,71);
INSERT INTO "documents" VALUES(22,'ladder','docs/first.txt','docs/first.txt','368764bab4300e6e5ea77f9082b0cbe9dd15d300839339f2bc54bc117bd03393',20,NULL,NULL,NULL,20,6,78,78);
INSERT INTO "documents" VALUES(23,'ladder','docs/refused.txt','docs/refused.txt','2f236463e9239a7d311467a58813280a9152cd3d01ad0ba18962a3258e9f7c0a',22,NULL,NULL,NULL,22,6,81,81);
INSERT INTO "documents" VALUES(24,'cached','docs/empty.txt','docs/empty.txt','e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',NULL,'skipped','the document is empty',NULL,NULL,7,85,85);
INSERT INTO "documents" VALUES(25,'cached','docs/first.txt','docs/first.txt','368764bab4300e6e5ea77f9082b0cbe9dd15d300839339f2bc54bc117bd03393',23,NULL,NULL,NULL,23,7,89,89);
INSERT INTO "documents" VALUES(26,'cached','docs/second.txt','docs/second.txt','18885edf5749b1a2f8f043831493d7cb9c5309e6b06a396e4432c2449e2f52ce',24,NULL,NULL,NULL,24,7,90,90);
INSERT INTO "documents" VALUES(27,'waiting','docs/empty.txt','docs/empty.txt','e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',NULL,'skipped','the document is empty',NULL,NULL,8,94,94);
INSERT INTO "documents" VALUES(28,'waiting','docs/first.txt','docs/first.txt','368764bab4300e6e5ea77f9082b0cbe9dd15d300839339f2bc54bc117bd03393',25,NULL,NULL,NULL,NULL,8,95,95);
INSERT INTO "documents" VALUES(29,'waiting','docs/second.txt','docs/second.txt','18885edf5749b1a2f8f043831493d7cb9c5309e6b06a396e4432c2449e2f52ce',26,NULL,NULL,NULL,NULL,8,96,96);
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
INSERT INTO "learnt_limits" VALUES('claude-haiku-4-5',NULL,NULL,NULL,1,1.7959721293547158241e+09);
INSERT INTO "learnt_limits" VALUES('claude-haiku-5-5',NULL,NULL,NULL,1,1.79597212910393071172e+09);
INSERT INTO "learnt_limits" VALUES('claude-sonnet-5-5',NULL,NULL,NULL,1,1.79597212960682821271e+09);
CREATE TABLE meta (
    key   text primary key,
    value any
) strict, without rowid;
INSERT INTO "meta" VALUES('ledger_id','050b5cf9dbce4b389616b2a26d69656a');
INSERT INTO "meta" VALUES('sequence',98);
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
INSERT INTO "minutes" VALUES(1,'claude-sonnet-5-5',29932868,2,332,120,NULL,NULL,NULL);
INSERT INTO "minutes" VALUES(2,'claude-sonnet-5-5',29932868,6,644,240,NULL,NULL,NULL);
INSERT INTO "minutes" VALUES(3,'claude-sonnet-5-5',29932868,1,162,60,NULL,NULL,NULL);
INSERT INTO "minutes" VALUES(5,'claude-haiku-5-5',29932868,2,328,120,NULL,NULL,NULL);
INSERT INTO "minutes" VALUES(5,'claude-sonnet-5-5',29932868,2,328,120,NULL,NULL,NULL);
INSERT INTO "minutes" VALUES(6,'claude-haiku-4-5',29932868,1,159,60,NULL,NULL,NULL);
INSERT INTO "minutes" VALUES(6,'claude-sonnet-5-5',29932868,2,333,120,NULL,NULL,NULL);
INSERT INTO "minutes" VALUES(7,'claude-sonnet-5-5',29932868,2,2558,120,NULL,NULL,NULL);
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
INSERT INTO "prices" VALUES(2,'claude-sonnet-5-5','2026-11-20',NULL,'the package''s own table',NULL,2,2000,10000,2500,4000,100);
INSERT INTO "prices" VALUES(3,'claude-haiku-5-5','2026-11-20',NULL,'the package''s own table',NULL,1,100,500,125,200,10);
INSERT INTO "prices" VALUES(4,'claude-haiku-4-5','2026-11-20',NULL,'the package''s own table',NULL,1,1000,5000,1250,2000,100);
CREATE TABLE replies (
    attempt_no integer primary key references attempts,
    raw        text not null
) strict;
INSERT INTO "replies" VALUES(1,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 170, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(2,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"th"}], "stop_reason": "max_tokens", "stop_sequence": null, "usage": {"input_tokens": 162, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(3,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": 3}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 161, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(5,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [], "stop_reason": "refusal", "stop_sequence": null, "usage": {"input_tokens": 163, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(7,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 158, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(8,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 162, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(9,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 162, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(10,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 170, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(11,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"th"}], "stop_reason": "max_tokens", "stop_sequence": null, "usage": {"input_tokens": 161, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(12,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": 3}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 161, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(14,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [], "stop_reason": "refusal", "stop_sequence": null, "usage": {"input_tokens": 163, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(16,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 158, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(17,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 162, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(18,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-haiku-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 170, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(19,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-haiku-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 158, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(20,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 170, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(21,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 158, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(22,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 170, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(23,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [], "stop_reason": "refusal", "stop_sequence": null, "usage": {"input_tokens": 163, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(24,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 159, "output_tokens": 60}}');
INSERT INTO "replies" VALUES(25,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 935, "output_tokens": 60, "cache_creation_input_tokens": 700, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 700}, "cache_read_input_tokens": 0}}');
INSERT INTO "replies" VALUES(26,'{"id": "msg_golden", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": [{"type": "text", "text": "{\"title\": \"text\", \"day\": \"2026-01-31\", \"parties\": [\"text\"], \"quote\": \"text\"}"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 923, "output_tokens": 60, "cache_creation_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "cache_read_input_tokens": 700}}');
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
INSERT INTO "requests" VALUES(1,'569008ca4bb082d6821b9da42e4e018a','claude-sonnet-5-5',21,'prose','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',1,0);
INSERT INTO "requests" VALUES(2,'1ca0c143aa8964ac5aa852c83164f5ce','claude-sonnet-5-5',9,'prose','truncated','max_tokens: 60 output tokens were too few',NULL,2,0);
INSERT INTO "requests" VALUES(3,'8ced3e0bb5123bd22e972f50c6d6575c','claude-sonnet-5-5',8,'prose','invalid','title: 3 is not text; day: required; parties: required; and 1 more',NULL,3,0);
INSERT INTO "requests" VALUES(4,'784ac9fc5e20a44f4317945215794234','claude-sonnet-5-5',10,'prose','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',8,0);
INSERT INTO "requests" VALUES(5,'6b2c31c84072850c4ae1f2c6450d015d','claude-sonnet-5-5',10,'prose','refused','the model refused',NULL,5,0);
INSERT INTO "requests" VALUES(6,'96d9560dffeed7513a852a7b6315e265','claude-sonnet-5-5',9,'prose','rejected','400 invalid_request_error: not like this',NULL,6,0);
INSERT INTO "requests" VALUES(7,'b09bf56ece6b0a726c751b0060310ef9','claude-sonnet-5-5',30,'other script','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',7,0);
INSERT INTO "requests" VALUES(8,'74a5c6b15de48cadac643c47e709e013','claude-sonnet-5-5',9,'prose','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',9,0);
INSERT INTO "requests" VALUES(9,'dee1c0150d0e0d517612510090c892f3','claude-sonnet-5-5',21,'prose','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',10,0);
INSERT INTO "requests" VALUES(10,'f082c457ca82a8deaef421d9b350d200','claude-sonnet-5-5',9,'prose','truncated','max_tokens: 60 output tokens were too few',NULL,11,0);
INSERT INTO "requests" VALUES(11,'6321321d9202d643507406f11b165410','claude-sonnet-5-5',8,'prose','invalid','title: 3 is not text; day: required; parties: required; and 1 more',NULL,12,0);
INSERT INTO "requests" VALUES(12,'1a59c398cc7a1bf93f672ff243910835','claude-sonnet-5-5',10,'prose','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',17,0);
INSERT INTO "requests" VALUES(13,'4e2d5ba9da08b107a75f36303768b3c9','claude-sonnet-5-5',10,'prose','refused','the model refused',NULL,14,0);
INSERT INTO "requests" VALUES(14,'36c5487849f19ab5720e73b007e5a6d3','claude-sonnet-5-5',9,'prose','rejected','invalid_request_error: not like this',NULL,15,0);
INSERT INTO "requests" VALUES(15,'6f31eb5782ddf2218d36631fecc388eb','claude-sonnet-5-5',30,'other script','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',16,0);
INSERT INTO "requests" VALUES(16,'9df40b57959a413a21300ebd351d127f','claude-haiku-5-5',21,'prose','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',18,0);
INSERT INTO "requests" VALUES(17,'37cb3fc4f0bc6a94e2ad888b1315ad10','claude-haiku-5-5',30,'other script','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',19,0);
INSERT INTO "requests" VALUES(18,'1ee1aea5414ebebee63564c718cf8d17','claude-sonnet-5-5',21,'prose','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',20,0);
INSERT INTO "requests" VALUES(19,'7913f8a5dc3b9676cbd73a1c6e1bb6ab','claude-sonnet-5-5',30,'other script','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',21,0);
INSERT INTO "requests" VALUES(20,'da50cffc0ed79da06e37ec691da5d6db','claude-sonnet-5-5',21,'prose','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',22,0);
INSERT INTO "requests" VALUES(21,'417ced5baf24cc5e78e1ca7218cefb31','claude-sonnet-5-5',10,'prose','refused','the model refused',NULL,23,0);
INSERT INTO "requests" VALUES(22,'179cc9868ec15d04a467e854d2442014','claude-haiku-4-5',10,'prose','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',24,0);
INSERT INTO "requests" VALUES(23,'105e885f4e65055f5ddf5e1e4a0c36f0','claude-sonnet-5-5',21,'prose','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',25,0);
INSERT INTO "requests" VALUES(24,'8a6644beda91613889c89c108e2cd216','claude-sonnet-5-5',30,'other script','succeeded',NULL,'{"title": "text", "day": "2026-01-31", "parties": ["text"], "quote": "text"}',26,0);
INSERT INTO "requests" VALUES(25,'313f70ecbaedc1c8e933b29fbf54fe46','claude-sonnet-5-5',21,'prose',NULL,NULL,NULL,NULL,0);
INSERT INTO "requests" VALUES(26,'355f63c5d1bd5ea467402521f9cb7458','claude-sonnet-5-5',30,'other script',NULL,NULL,NULL,NULL,0);
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
INSERT INTO "runs" VALUES(1,'4e4b','stream','jobs/stream.toml','a146e608e5372eeb41f34f8f6f248de757d0e08449d76e38880bf78b3917cfb7','claude-sonnet-5-5',0,'finished',1,NULL,4,2,2000000000,4000515,0,15079259,1864000,4711,'host',1.79597212772967267037e+09,1.79597212780628180499e+09,'stream',NULL,307,339,1864000);
INSERT INTO "runs" VALUES(2,'d97b','stream','jobs/stream.toml','a146e608e5372eeb41f34f8f6f248de757d0e08449d76e38880bf78b3917cfb7','claude-sonnet-5-5',0,'finished',1,NULL,9,5,2000000000,4595776,2071383,7120169,14140000,4711,'host',1.79597212805887818335e+09,1.79597212818310403821e+09,'stream',NULL,749,310,14140000);
INSERT INTO "runs" VALUES(3,'ddf4','stream','jobs/stream.toml','a146e608e5372eeb41f34f8f6f248de757d0e08449d76e38880bf78b3917cfb7','claude-sonnet-5-5',0,'finished',0,NULL,1,1,2000000000,921909,484474,1359343,924000,4711,'host',1.79597212841789174078e+09,1.79597212845730710029e+09,'stream',NULL,159,60,924000);
INSERT INTO "runs" VALUES(4,'7ec3','batch','jobs/batch.toml','072f79e24d2191bc1d08c26f284703889346db84f6114b72f6719845ff5a9d67','claude-sonnet-5-5',0,'finished',1,NULL,9,7,2000000000,6976948,1181042,25931074,2775000,4711,'host',1.79597212869528269764e+09,1.79597212881332325934e+09,'batch',NULL,1051,1185,2775000);
INSERT INTO "runs" VALUES(5,'d924','cascade','jobs/cascade.toml','bb29449ed78e2dad0f7873aa521c62b700b6373b0493565ee095d96cb0effc3d','claude-haiku-5-5',0,'finished',0,NULL,3,2,2000000000,1010208,177169,4207197,1948800,4711,'host',1.79597212902950525287e+09,1.79597212911294364925e+09,'stream',NULL,393,406,1948800);
INSERT INTO "runs" VALUES(6,'97d3','ladder','jobs/ladder.toml','25426e95cdf55d4165fe8bbae259d3d739660dbe3b0b8422c973f60b2cc3ff49','claude-sonnet-5-5',0,'finished',0,NULL,2,2,2000000000,4002509,0,15081254,2325000,4711,'host',1.79597212930401706697e+09,1.7959721293635489941e+09,'stream',NULL,308,339,2325000);
INSERT INTO "runs" VALUES(7,'bb33','cached','jobs/cached.toml','43c1ddac55d978a7bfa28d5a76bb209cefa21e3fc8c427c509aaedf54c023fe6','claude-sonnet-5-5',0,'finished',0,NULL,3,2,2000000000,7075469,3025765,18660529,7786000,4711,'host',1795972129.56721,1.79597212961344408991e+09,'stream',NULL,1801,339,7786000);
INSERT INTO "runs" VALUES(8,'6af8','waiting','jobs/waiting.toml','58757cad3518a93f5598fdcfe26d8a4f7beb04b17dc442a2603a4be000cd3d97','claude-sonnet-5-5',0,'waiting',10,NULL,3,2,2000000000,2020416,0,7559794,12472000,4711,'host',1.79597213079510736465e+09,1.79597213084144163137e+09,'batch',NULL,327,339,12472000);
CREATE TABLE spending (
    day            integer not null,        -- since 1970, in UTC: when the attempt was started
    model          text not null,           -- of the request
    committed_nusd integer not null,        -- spent + reserved + unknown, like that of a run
    tokens         integer not null,
    primary key (day, model)
) strict, without rowid;
INSERT INTO "spending" VALUES(20786,'claude-haiku-4-5',459000,219);
INSERT INTO "spending" VALUES(20786,'claude-haiku-5-5',92800,448);
INSERT INTO "spending" VALUES(20786,'claude-sonnet-5-5',43683000,12394);
CREATE TABLE waits (
    run_no  integer not null references runs,
    cause   text not null,
    seconds real not null,
    times   integer not null,
    primary key (run_no, cause)
) strict, without rowid;
INSERT INTO "waits" VALUES(1,'concurrency',2.03569998120656237006e-05,2);
INSERT INTO "waits" VALUES(1,'input tokens',2.66899996859137900173e-05,3);
INSERT INTO "waits" VALUES(1,'output tokens',1.93860000763379503041e-05,3);
INSERT INTO "waits" VALUES(1,'requests',6.0743000176444184035e-05,3);
INSERT INTO "waits" VALUES(2,'concurrency',3.31230003212112933397e-05,5);
INSERT INTO "waits" VALUES(2,'input tokens',1.89460001820407342165e-05,6);
INSERT INTO "waits" VALUES(2,'output tokens',1.62009991981904022395e-05,6);
INSERT INTO "waits" VALUES(2,'requests',4.8009000238380394876e-05,6);
INSERT INTO "waits" VALUES(2,'retry',1.87635961679552174495e-03,1);
INSERT INTO "waits" VALUES(3,'input tokens',2.04890002351021394133e-05,1);
INSERT INTO "waits" VALUES(3,'output tokens',1.36250000650761649012e-05,1);
INSERT INTO "waits" VALUES(3,'requests',4.100700016351765953e-05,1);
INSERT INTO "waits" VALUES(5,'concurrency',2.21229997805494349449e-05,2);
INSERT INTO "waits" VALUES(5,'input tokens',2.82820001302752643823e-05,4);
INSERT INTO "waits" VALUES(5,'output tokens',2.29320003199973143637e-05,4);
INSERT INTO "waits" VALUES(5,'requests',7.7123999290051870048e-05,4);
INSERT INTO "waits" VALUES(6,'concurrency',1.10300002233998384326e-05,1);
INSERT INTO "waits" VALUES(6,'input tokens',3.36129996867384761571e-05,3);
INSERT INTO "waits" VALUES(6,'output tokens',2.8372000087983906269e-05,3);
INSERT INTO "waits" VALUES(6,'requests',7.53909998820745386183e-05,3);
INSERT INTO "waits" VALUES(7,'concurrency',7.59399972594110295176e-06,1);
INSERT INTO "waits" VALUES(7,'input tokens',1.05089998214680235832e-05,2);
INSERT INTO "waits" VALUES(7,'output tokens',8.05499985290225595235e-06,2);
INSERT INTO "waits" VALUES(7,'requests',2.96149996756867039948e-05,2);
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
