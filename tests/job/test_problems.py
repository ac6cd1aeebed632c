"""Bad job files and the exact words a person sees."""

from pathlib import Path

import pytest

from batchrun.errors import ExitCode
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError, did_you_mean

GOOD = """\
[job]
name = "good"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-sonnet-5-5"
max_tokens = 1024
[prompt]
user = "{{ doc.text }}"
[output.fields]
title = { type = "string?" }
[budget]
max_cost_usd = 5.00
"""


def problems_of(tmp_path, monkeypatch, text, *, name="job.toml"):
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(JobFileError) as caught:
        load_job(path)
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value


def test_the_whole_report(tmp_path, monkeypatch):
    text = GOOD.replace('name = "claude', 'nmae = "claude').replace("1024", '"1024"     # oops')
    text = text.replace('include = ["*.txt"]', 'include = ["*.txt"]\non_empty = "skpi"')
    error = problems_of(tmp_path, monkeypatch, text, name="contracts.toml")
    assert (
        error.rendered
        == """\
error: `source.on_empty`: input should be "fail" or "skip", got "skpi"
 --> contracts.toml:6:12
  |
6 | on_empty = "skpi"
  |            ^^^^^^
  = help: did you mean "skip"?

error: unknown key `nmae` in [model]
 --> contracts.toml:8:1
  |
8 | nmae = "claude-sonnet-5-5"
  | ^^^^
  = help: did you mean `name`?

error: `model.max_tokens`: input should be a whole number, got "1024"
 --> contracts.toml:9:14
  |
9 | max_tokens = "1024"     # oops
  |              ^^^^^^
  = help: remove the quotes

batchrun: 3 problems in contracts.toml; nothing was sent"""
    )
    assert f"error: {error}" == error.rendered


FIELD = 'title = { type = "string?" }'
PROMPT = 'user = "{{ doc.text }}"'
ALL_TABLES = (
    "job, source, model, provider, providers, prompt, output, cascade, run, pilot, tune, batch, limits, budget, retry,"
    " store, gold, check, review, report, metrics, notify"
)
CASCADE = '[cascade]\nmodels = ["claude-sonnet-5-5", "b"]'

# name: (what is replaced, by what, [(line:column, sentence, help), …])
LONG = "x" * 59
CASES = {
    "missing key": ("max_tokens = 1024\n", "", [
        ("6:1", "missing key `max_tokens` in [model]", "such as `max_tokens = 1024`"),
    ]),
    "missing table": ("[budget]\nmax_cost_usd = 5.00\n", "", [
        ("12:29", "missing table [budget]", "it needs `max_cost_usd = 5.00`"),
    ]),
    "missing fields": ('[output.fields]\ntitle = { type = "string?" }\n', "", [
        ("12:20", "missing table [output.fields]", 'it needs `title = { type = "string" }`'),
    ]),
    "only [output]": ('[output.fields]\ntitle = { type = "string?" }\n', "[output]\nnormalise = false\n", [
        ("11:1", "missing table [output.fields]", 'it needs `title = { type = "string" }`'),
    ]),
    "misspelt key of [output]": ("[output.fields]", "[output]\nnormalize = false\n[output.fields]", [
        ("12:1", "unknown key `normalize` in [output]", "did you mean `normalise`?"),
    ]),
    "key of [output] elsewhere": ("max_cost_usd = 5.00", 'max_cost_usd = 5.00\non_invalid = "fail"', [
        ("15:1", "unknown key `on_invalid` in [budget]", "it belongs in [output]"),
    ]),
    "unknown word for invalid replies": ("[output.fields]", '[output]\non_invalid = "null"\n[output.fields]', [
        ("12:14", '`output.on_invalid`: input should be "fail" or "null_fields", got "null"', None),
    ]),
    "misspelt table": ("[budget]", "[bugdet]", [
        ("13:1", "unknown table [bugdet]", "did you mean [budget]?"),
    ]),
    "key of another table": ('name = "good"', 'name = "good"\ntimeout = "3s"', [
        ("3:1", "unknown key `timeout` in [job]", "it belongs in [retry]"),
    ]),
    "key moved to another table": ("max_tokens = 1024\n[prompt]", "[prompt]\nmax_tokens = 1024", [
        ("9:1", "unknown key `max_tokens` in [prompt]", "it belongs in [model]"),
    ]),
    "key of the other source": ("include", 'query = "SELECT 1"\ninclude', [
        ("5:1", "unknown key `query` in [source]", 'it belongs in [source] with type = "duckdb"'),
    ]),
    "key outside of a table": ("[job]", "max_documents = 3\n[job]", [
        ("1:1", "unknown key `max_documents` outside of a table", "it belongs in [budget]"),
    ]),
    "temperature": ("max_tokens", "temperature = 0\nmax_tokens", [
        ("8:1", "`model.temperature`: this parameter was removed from the API for current models", "use `effort`"),
    ]),
    "thinking that needs a budget": ("max_tokens = 1024", 'max_tokens = 2048\nthinking = "enabled"', [
        ("9:12", "`model.thinking`: enabled thinking needs `budget_tokens`",
         "such as `budget_tokens = 1024`, below max_tokens"),
    ]),
    "budget without thinking": ("max_tokens = 1024", "max_tokens = 2048\nbudget_tokens = 1024", [
        ("9:17", "`model.budget_tokens`: only enabled thinking has a budget",
         'write thinking = "enabled", or take this key out'),
    ]),
    "budget that leaves no answer": (
        "max_tokens = 1024", 'max_tokens = 1024\nthinking = "enabled"\nbudget_tokens = 1024', [
        ("10:17", "`model.budget_tokens`: it is not below max_tokens = 1024",
         "max_tokens covers the thinking and the answer: raise it, or lower budget_tokens"),
    ]),
    "budget that is too small": (
        "max_tokens = 1024", 'max_tokens = 2048\nthinking = "enabled"\nbudget_tokens = 1023', [
        ("10:17", "`model.budget_tokens`: input should be at least 1024, got 1023", None),
    ]),
    "later table": ("[budget]", "[archive]\n[budget]", [
        ("13:1", "unknown table [archive]", f"known here: version, {ALL_TABLES}"),
    ]),
    "later key": ("[budget]", '[run]\npriority = "low"\n[budget]', [
        ("14:1", "unknown key `priority` in [run]",
         "known here: route, deadline, max_concurrency, workers, max_at_risk_usd, fail_fast, max_failure_rate"),
    ]),
    "workers": ("[budget]", '[run]\nworkers = "spark"\n[budget]', [
        ("14:11", '`run.workers`: input should be "auto", "inline", "ray", "dask" or a whole number from 1 to 256,'
                  ' got "spark"', None),
    ]),
    "no workers": ("[budget]", "[run]\nworkers = 0\n[budget]", [
        ("14:11", "`run.workers`: input should be at least 1, got 0", None),
    ]),
    "later prompt key": ("[prompt]", '[prompt]\nvision = "auto"', [
        ("10:1", "unknown key `vision` in [prompt]",
         "known here: system, system_file, user, user_file, cache, fence, example"),
    ]),
    "cache": ("[prompt]", '[prompt]\ncache = "5min"', [
        ("10:9", '`prompt.cache`: input should be "auto", "off", "5m" or "1h", got "5min"', 'did you mean "5m"?'),
    ]),
    "route": ("[budget]", '[run]\nroute = "bacth"\n[budget]', [
        ("14:9", '`run.route`: input should be "stream", "batch" or "auto", got "bacth"', 'did you mean "batch"?'),
    ]),
    "batch": ("[budget]", '[batch]\nmax_bytes = "1GB"\nmax_requests = 100_001\npoll_interval = "10m"\n[budget]', [
        ("14:13", '`batch.max_bytes`: input should be a size such as "256MB" or "500KB", or a number of bytes,'
         ' got "1GB"', None),
        ("15:16", "`batch.max_requests`: input should be at most 100000, got 100001", None),
    ]),
    "poll intervals": ("[budget]", '[batch]\npoll_interval = "10m"\n[budget]', [
        ("14:17", "`batch.poll_interval`: `poll_interval` is longer than `max_poll_interval`", None),
    ]),
    "deadline": ("[budget]", '[run]\ndeadline = "1000h"\n[budget]', [
        ("14:12", '`run.deadline`: input should be a duration such as "500ms", "30s", "10m" or "2h", above zero and'
         ' at most 720 hours, got "1000h"', None),
    ]),
    "not a table": ("[job]\n", "run = 3\n[job]\n", [("1:7", "`run`: input should be a table, got 3", None)]),
    "source type": ('"files"', '"file"', [
        ("4:8", '`source.type`: input should be "files", "table", "duckdb" or "memory", got "file"',
         'did you mean "files"?'),
    ]),
    "no source type": ('type = "files"\n', "", [
        ("3:1", "`source`: a source needs a `type`", 'type = "files", type = "table" or type = "duckdb"'),
    ]),
    "files at a web address": ('include = ["*.txt"]', 'include = ["*.txt", "https://x.org/a.txt"]', [
        ("5:11", "`source.include`: an address that names no files in a bucket",
         "write s3://bucket/folder/** or gs://bucket/folder/**"),
    ]),
    "files in a bucket with a key": ('include = ["*.txt"]', 'include = ["s3://b-1/a?s3_secret_access_key=AbC"]', [
        ("5:11", "`source.include`: an address that names no files in a bucket",
         "write s3://bucket/folder/** or gs://bucket/folder/**"),
    ]),
    "exclude where nothing is included": ('include = ["*.txt"]', 'include = ["s3://b-1/**"]\nexclude = ["drafts/**"]', [
        ("6:11", '`source.exclude`: "drafts/**" leaves nothing out, because include looks elsewhere',
         'in a bucket, write the whole address, such as "s3://bucket/**/drafts"'),
    ]),
    "table without a path": ('type = "files"\ninclude = ["*.txt"]', 'type = "table"\nid = "n"\nsheet = ""', [
        ("3:1", "missing key `path` in [source]", 'such as `path = "tickets/*.csv"`'),
        ("6:9", '`source.sheet`: input should be some text, got ""', None),
    ]),
    "table with an empty path": ('type = "files"\ninclude = ["*.txt"]', 'type = "table"\npath = ""', [
        ("5:8", '`source.path`: input should be a path such as "tickets/*.csv", or a list of paths, got ""', None),
    ]),
    "table with a wrong path": ('type = "files"\ninclude = ["*.txt"]', 'type = "table"\npath = ["a.csv", 3]', [
        ("5:18", "`source.path[1]`: input should be text in quotes, got 3", "put it in quotes"),
    ]),
    "table with a wrong template": (
        'type = "files"\ninclude = ["*.txt"]', 'type = "table"\npath = "a.csv"\ntext = "{{ body }} {% if a %}"', [
        ("6:8", "`source.text`: `{{ body }}` is not supported; `{% if a %}` is not supported",
         "did you mean {{ doc.body }}?"),
    ]),
    "table with a key of files": ('"files"', '"table"\npath = "a.csv"', [
        ("6:1", "unknown key `include` in [source]", 'it belongs in [source] with type = "files"'),
    ]),
    "csv as a database": (
        'type = "files"\ninclude = ["*.txt"]', 'type = "duckdb"\nquery = "FROM x"\ndatabase = "in/x.csv.gz"', [
        ("6:12", "`source.database`: this is a table, not a DuckDB database",
         'write type = "table" and path = "in/x.csv.gz", with the names of columns as id and text; leave query out'),
    ]),
    "json as a database": (
        'type = "files"\ninclude = ["*.txt"]', 'type = "duckdb"\nquery = "FROM x"\ndatabase = "x.json"', [
        ("6:12", "`source.database`: this is JSON, not a DuckDB database",
         'put one object on each line of a .jsonl file, and write type = "table" and path = "….jsonl"'),
    ]),
    "sqlite as a database": (
        'type = "files"\ninclude = ["*.txt"]', 'type = "duckdb"\nquery = "FROM x"\ndatabase = "x.SQLite3"', [
        ("6:12", "`source.database`: this is an SQLite database, not a DuckDB database",
         'export the rows, such as sqlite3 -header -csv FILE "SELECT …" > rows.csv, and write type = "table" and'
         ' path = "rows.csv"'),
    ]),
    "empty list": ('["*.txt"]', "[]", [("5:11", "`source.include`: input should not be empty", None)]),
    "list element": ('["*.txt"]', '["*.txt", 3]', [
        ("5:21", "`source.include[1]`: input should be text in quotes, got 3", "put it in quotes"),
    ]),
    "codec": ("include", 'encoding = "utf-9"\ninclude', [
        ("5:12", '`source.encoding`: input should be "auto" or a codec such as "utf-8" or "cp1252", got "utf-9"', None),
    ]),
    "binary codec": ("include", 'encoding = "rot13"\ninclude', [
        ("5:12", '`source.encoding`: input should be "auto" or a codec such as "utf-8" or "cp1252", got "rot13"', None),
    ]),
    "job name": ('"good"', '"My Job"', [
        ("2:8", '`job.name`: input should be 1 to 40 of a-z, 0-9, _ and -, got "My Job"', None),
    ]),
    "version": ("[job]", "version = 2\n[job]", [("1:11", "`version`: input should be 1, got 2", None)]),
    "money": ("5.00", "0", [
        ("14:16", "`budget.max_cost_usd`: input should be an amount in US dollars above zero, such as 5.00, "
         "got 0", None),
    ]),
    "duration": ("[budget]", "[retry]\ntimeout = 120\n[budget]", [
        ("14:11", '`retry.timeout`: input should be a duration such as "500ms", "30s", "10m" or "2h", '
         "above zero and at most 24 hours, got 120", None),
    ]),
    "delays": ("[budget]", '[retry]\ninitial_delay = "2m"\n[budget]', [
        ("14:17", "`retry.initial_delay`: `initial_delay` is longer than `max_delay`", None),
    ]),
    "above the most": ("[budget]", "[run]\nmax_concurrency = 1001\n[budget]", [
        ("14:19", "`run.max_concurrency`: input should be at most 1000, got 1001", None),
    ]),
    "below the least": ("[budget]", "[run]\nmax_concurrency = 0\n[budget]", [
        ("14:19", "`run.max_concurrency`: input should be at least 1, got 0", None),
    ]),
    "no concurrency": ("[budget]", '[run]\nmax_concurrency = "many"\n[budget]', [
        ("14:19", '`run.max_concurrency`: input should be "auto" or a whole number from 1 to 1000, got "many"', None),
    ]),
    "tripwires": (
        "max_cost_usd = 5.00",
        'max_cost_usd = 5.00\nmax_run_time = "soon"\n[run]\nfail_fast = 1\nmax_failure_rate = 1.5',
        [
            ("15:16", '`budget.max_run_time`: input should be a duration such as "500ms", "30s", "10m" or "2h", above'
             ' zero and at most 720 hours, got "soon"', None),
            ("17:13", "`run.fail_fast`: input should be true or false, got 1", None),
            ("18:20", "`run.max_failure_rate`: input should be at most 1, got 1.5", None),
        ],
    ),
    "no share": ("[budget]", "[run]\nmax_failure_rate = 0\n[budget]", [
        ("14:20", "`run.max_failure_rate`: input should be more than 0, got 0", None),
    ]),
    "run time of another table": ("[budget]", '[run]\nmax_run_time = "2h"\n[budget]', [
        ("14:1", "unknown key `max_run_time` in [run]", "it belongs in [budget]"),
    ]),
    "no model": ('name = "claude-sonnet-5-5"\n', "", [
        ("6:1", "missing key `name` in [model]", 'such as `name = "claude-sonnet-5-5"` or `tier = "standard"`'),
    ]),
    "an empty name": ('"claude-sonnet-5-5"', '""', [
        ("7:8", '`model.name`: input should be the name of a model, got ""', None),
    ]),
    "no model and no length": ('name = "claude-sonnet-5-5"\nmax_tokens = 1024\n', "", [
        ("6:1", "missing key `name` in [model]", 'such as `name = "claude-sonnet-5-5"` or `tier = "standard"`'),
        ("6:1", "missing key `max_tokens` in [model]", "such as `max_tokens = 1024`"),
    ]),
    "misspelt tier key": ('name = "claude-sonnet-5-5"', 'tire = "standard"', [
        ("7:1", "unknown key `tire` in [model]", "did you mean `tier`?"),
    ]),
    "unknown tier": ('name = "claude-sonnet-5-5"', 'tier = "standart"', [
        ("7:8", '`model.tier`: input should be "simple", "standard", "complex" or "critical", got "standart"',
         'did you mean "standard"?'),
    ]),
    "name and tier": ('name = "claude-sonnet-5-5"', 'name = "claude-sonnet-5-5"\ntier = "simple"\nfallbacks = ["x"]', [
        ("7:8", "`model.name`: give `name` or `tier`, not both", "the models of a tier are named in batchrun.toml"),
        ("9:13", "`model.fallbacks`: a tier has its own fallbacks",
         "write them in batchrun.toml, behind the tier's first model"),
    ]),
    "tier without a project file": ('name = "claude-sonnet-5-5"', 'tier = "simple"', [
        ("7:8", "`model.tier`: the project has no batchrun.toml",
         'write in batchrun.toml, below a line [tiers]: simple = ["claude-sonnet-5-5", "claude-haiku-4-5"]'),
    ]),
    "fallback twice": ("max_tokens", 'fallbacks = ["a", "b", "a"]\nmax_tokens', [
        ("8:13", '`model.fallbacks`: "a" is there already', "name each once"),
    ]),
    "fallback to itself": ("max_tokens", 'fallbacks = ["a", "claude-sonnet-5-5"]\nmax_tokens', [
        ("8:13", '`model.fallbacks`: "claude-sonnet-5-5" is the model itself',
         "name other models, in the order in which they are tried"),
    ]),
    "fallback without a name": ("max_tokens", 'fallbacks = ["a", " "]\nmax_tokens', [
        ("8:19", '`model.fallbacks[1]`: input should be the name of a model, got " "', None),
    ]),
    "reason to fall back": ("max_tokens", 'fallback_on = ["outage", "refusal"]\nmax_tokens', [
        ("8:26", '`model.fallback_on[1]`: input should be "outage", "refused", "truncated" or "budget", got "refusal"',
         'did you mean "refused"?'),
    ]),
    "no reason to fall back": ("max_tokens", "fallback_on = []\nmax_tokens", [
        ("8:15", "`model.fallback_on`: input should not be empty", None),
    ]),
    "cascade of one": ("[budget]", '[cascade]\nmodels = ["claude-sonnet-5-5"]\n[budget]', [
        ("14:10", '`cascade.models`: a cascade has two models or more', "the cheapest first"),
    ]),
    "cascade without models": ("[budget]", '[cascade]\nnull_in = ["title"]\n[budget]', [
        ("13:1", "missing key `models` in [cascade]", 'such as `models = ["claude-haiku-5-5", "claude-sonnet-5-5"]`'),
    ]),
    "cascade that begins with another model": ("[budget]", '[cascade]\nmodels = ["a", "b"]\n[budget]', [
        ("14:10", '`cascade.models`: the first of them is not "claude-sonnet-5-5" of [model]',
         'leave `name` in [model] out, or write name = "a"'),
    ]),
    "threshold of three models": (
        "[budget]", '[cascade]\nmodels = ["claude-sonnet-5-5", "b", "c"]\naccept = "calibrated"\n[budget]', [
        ("14:10", "`cascade.models`: a threshold is learned between two models",
         "name the cheap model and the model that it is held against"),
    ]),
    "threshold without its key": ("[budget]", f"{CASCADE}\nmax_difference = 0.01\n[budget]", [
        ("15:18", '`cascade.max_difference`: only accept = "calibrated" learns a threshold',
         'write accept = "calibrated", or take this key out'),
    ]),
    "cascade beside fallbacks": ("[prompt]", f'fallbacks = ["b"]\n{CASCADE}\n[prompt]', [
        ("10:1", "`cascade`: it stands instead of the fallbacks of [model]",
         "take `fallbacks` and `fallback_on` out of [model]; `models` and `escalate_on` stand for them"),
    ]),
    "reason to escalate": ("[budget]", f'{CASCADE}\nescalate_on = ["null"]\n[budget]', [
        ("15:16", '`cascade.escalate_on[0]`: input should be "invalid", "truncated", "refused", "outage" or "budget",'
         ' got "null"', None),
    ]),
    "no reason to escalate": ("[budget]", f"{CASCADE}\nescalate_on = []\n[budget]", [
        ("15:15", "`cascade.escalate_on`: nothing would ever be asked again", 'such as ["invalid", "truncated"]'),
    ]),
    "null in no field": ("[budget]", f'{CASCADE}\nnull_in = ["titel"]\n[budget]', [
        ("15:11", '`cascade.null_in`: there is no "titel" in [output.fields]', "fields: title"),
    ]),
    "null where there is none": (f"{FIELD}\n", f'title = "string"\n{CASCADE}\nnull_in = ["title"]\n', [
        ("15:11", '`cascade.null_in`: "title" is never null', 'give it a type with ?, such as type = "string?"'),
    ]),
    "evidence of a number": (f"{FIELD}\n", f'title = "integer"\n{CASCADE}\nevidence = ["title"]\n', [
        ("15:12", '`cascade.evidence`: "title" is no string field', "name a field that quotes the document"),
    ]),
    "headroom": ("[budget]", "[limits]\nheadroom = 0\n[budget]", [
        ("14:12", "`limits.headroom`: input should be more than 0, got 0", None),
    ]),
    "no float for a whole number": ("1024", "1024.0", [
        ("8:14", "`model.max_tokens`: input should be a whole number, got 1024.0", None),
    ]),
    "table name": ("[budget]", '[store]\ntable = "main.x"\n[budget]', [
        ("14:9", '`store.table`: input should be a plain SQL name without a schema, got "main.x"', None),
    ]),
    "field type": ('"string?"', '"strin?"', [
        ("12:18", '`output.fields.title.type`: input should be "string", "integer", "number", "boolean", "date", '
         '"datetime", "enum", "array" or "object", got "strin?"', 'did you mean "string?"?'),
    ]),
    "another name for a type": (FIELD, 'title = "float"', [
        ("12:9", '`output.fields.title`: input should be "string", "integer", "number", "boolean", "date", '
         '"datetime", "enum", "array" or "object", got "float"', 'did you mean "number"?'),
    ]),
    "field without a type": (FIELD, 'title = { description = "x" }', [
        ("12:1", "`output.fields.title`: a field needs a `type`",
         "one of string, integer, number, boolean, date, datetime, enum, array, object; with ? it may be null"),
    ]),
    "rule of another type": (FIELD, 'title = { type = "string", minimum = 1 }', [
        ("12:28", "unknown key `minimum` in `output.fields.title`", "`minimum` is for integer and number fields"),
    ]),
    "the quote of something else": (FIELD, 'title = { type = "string", quote_of = "doc.text" }', [
        ("12:39", '`output.fields.title.quote_of`: input should be "document", got "doc.text"',
         'did you mean "document"?'),
    ]),
    "no quote of an inner field": (
        FIELD, 'a = { type = "object", fields = { b = { type = "string", evidence = false } } }', [
        ("12:69", "`output.fields.a.fields.b.evidence`: only a whole column has this key",
         "take it out, or give it to the column"),
    ]),
    "a quote with a long name": (FIELD, f'{LONG} = {{ type = "string", evidence = true }}', [
        ("12:1", f"`output.fields.{LONG}`: {LONG}_quote is asked for beside it, and the API takes 64 characters",
         "shorten the name of the field"),
    ]),
    "nothing to be unsupported": ("[output.fields]", '[output]\nunsupported = "null"\n[output.fields]', [
        ("12:15", "`output.unsupported`: no field has a quote, so no value is unsupported",
         "add evidence = true, or take this key out"),
    ]),
    "a count of text": (FIELD, 'a = { type = "array", items = "date", page_size = 2, count = "t" }\nt = "string"', [
        ("12:62", '`output.fields.a.count`: "t" is no integer field',
         'write t = "integer" in [output.fields]'),
    ]),
    "a count that is not there": (FIELD, 'a = { type = "array", items = "date", page_size = 2, count = "n" }', [
        ("12:62", '`output.fields.a.count`: "n" is no integer field', 'add n = "integer" in [output.fields]'),
    ]),
    "array without items": (FIELD, 'title = { type = "array" }', [
        ("12:1", "missing key `items` in `output.fields.title`", 'such as `items = "string"`'),
    ]),
    "pattern": (FIELD, 'title = { type = "string", pattern = "(" }', [
        ("12:38", "`output.fields.title.pattern`: not a regular expression: missing ), unterminated subpattern", None),
    ]),
    "bounds": (FIELD, 'title = { type = "integer", minimum = 3, maximum = 2 }', [
        ("12:39", "`output.fields.title.minimum`: `minimum` is above `maximum`", None),
    ]),
    "empty enum": (FIELD, "title = { enum = [] }", [
        ("12:18", "`output.fields.title.enum`: input should not be empty", None),
    ]),
    "enum twins": (FIELD, 'title = { enum = ["a", "A"] }', [
        ("12:18", '`output.fields.title.enum`: the value "A" is there already',
         "values must differ in more than case: the API does not promise to keep capitals"),
    ]),
    "column twins": (FIELD, f'{FIELD}\nTitle = "date"', [
        ("13:9", "`output.fields.Title`: this name is there already",
         "names must differ in more than case: DuckDB takes both for one column"),
    ]),
    "nested twins": (FIELD, 'title = { type = "object", fields = { a = "date", A = "date" } }', [
        ("12:55", "`output.fields.title.fields.A`: this name is there already",
         "names must differ in more than case: DuckDB takes both for one column"),
    ]),
    "reserved column": (FIELD, 'Doc_ID = "string"', [
        ("12:1", "`output.fields.Doc_ID`: input should be a name of letters, digits and _, at most 63, "
         'that does not start with a digit or _, and is not doc_id, got "Doc_ID"', None),
    ]),
    "too many nullable": (FIELD, "\n".join(f'f{n} = "string?"' for n in range(17)), [
        ("28:7", "`output.fields.f16`: the 17th type that may be null, and the API allows 16 in one schema",
         'groups = "auto" in [output] asks for the fields in several requests; '
         "or drop a ?, for example by letting the model answer an empty text"),
    ]),
    "no fields": (FIELD, "", [("11:1", "`output.fields`: input should not be empty", None)]),
    "no prompt": (PROMPT, 'system = "x"', [
        ("9:1", "`prompt`: a prompt needs `user` or `user_file`", 'such as `user = "{{ doc.text }}"`'),
    ]),
    "two systems": (PROMPT, f'{PROMPT}\nsystem = "a"\nsystem_file = "b"', [
        ("12:15", "`prompt.system_file`: give `system` or `system_file`, not both", None),
    ]),
    "no document": (PROMPT, 'user = "{{ doc.id }}"', [
        ("10:8", "`prompt.user` does not contain the document", "put {{ doc.text }} where the document goes"),
    ]),
    "column of a file": (PROMPT, 'user = "{{ doc.text }} \\n {{ doc.txet }}"', [
        ("10:27", "unknown name `doc.txet` in the prompt",
         "a file has {{ doc.text }} and {{ doc.id }}; other columns come with a table or duckdb source"),
    ]),
    "several template faults": (PROMPT, 'user = """\n{% if x %}\n{{ doc.text }} {{ env.KEY }}\n{{ text }}"""', [
        ("11:1", "`{% if x %}` is not supported",
         "put logic in the source query, as a column, and write {{ doc.<column> }}"),
        ("12:16", "`{{ env.KEY }}` is not supported", "secrets do not belong in prompts"),
        ("13:1", "`{{ text }}` is not supported", "did you mean {{ doc.text }}?"),
    ]),
    "template in system": (PROMPT, f'{PROMPT}\nsystem = "a {{{{ doc.id }}}}"', [
        ("11:13", "`{{` has no meaning in a system prompt",
         "the system prompt is the same for every document; put the document into `prompt.user`"),
    ]),
    "missing prompt file": (PROMPT, 'user_file = "no.md"', [
        ("10:13", "`prompt.user_file`: no such file or directory", "looked for {root}/no.md"),
    ]),
    "ledger is the database": ("[budget]", '[store]\ndatabase = "x"\nledger = "x"\n[budget]', [
        ("15:10", "`store.ledger`: `ledger` and `database` are two files", None),
    ]),
}  # fmt: skip


def shown_in(error):
    """Read sentence, place and help back from what a person sees."""
    found = []
    for block in error.rendered.split("\n\n")[:-1]:
        lines = block.split("\n")
        place = lines[1].rpartition("job.toml:")[2]
        hint = lines[5].partition("= help: ")[2] if len(lines) > 5 else None
        found.append((place, lines[0].removeprefix("error: "), hint))
    return found


@pytest.mark.parametrize(("old", "new", "expected"), CASES.values(), ids=CASES)
def test_problem(tmp_path, monkeypatch, old, new, expected):
    assert old in GOOD
    error = problems_of(tmp_path, monkeypatch, GOOD.replace(old, new, 1))
    expected = [(place, what, hint and hint.replace("{root}", str(tmp_path))) for place, what, hint in expected]
    assert shown_in(error) == expected
    many = "s" if len(expected) > 1 else ""
    assert error.rendered.endswith(f"\n\nbatchrun: {len(expected)} problem{many} in job.toml; nothing was sent")


def test_a_good_job_is_good(tmp_path):
    (tmp_path / "job.toml").write_text(GOOD)
    assert load_job(tmp_path / "job.toml").spec.job.name == "good"


SYNTAX = {
    "no quotes": ("name = good\n", "1:8", "this is not TOML: invalid value", 'text needs quotes: key = "value"'),
    "no equals": (
        "[a]\nname\n",
        "2:5",
        "this is not TOML: expected '=' after a key in a key/value pair",
        "a line is `key = value`, a `[table]` or a `# comment`",
    ),
    "twice": ("a = 1\na = 2\n", "2:6", "this is not TOML: cannot overwrite a value", "this key is given twice"),
    "end": ('a = """x\ny', "2:2", "this is not TOML: unterminated string", None),
    "deep": ("a = " + "[" * 3000 + "]" * 3000, "1:1", "nested too deeply to be read", None),
    "control": ('a = "\x1b[31mred"\n', "1:6", "this is not TOML: illegal character '\\x1b'", None),
    "huge": (f"a = {'1' * 5000}", None, None, None),
}


@pytest.mark.parametrize(("text", "place", "sentence", "hint"), SYNTAX.values(), ids=SYNTAX)
def test_what_is_not_toml(tmp_path, monkeypatch, text, place, sentence, hint):
    error = problems_of(tmp_path, monkeypatch, text)
    assert "\x1b" not in error.rendered
    if place is not None:
        assert shown_in(error) == [(place, sentence, hint)]


SECRETS = {
    "named": 'api_key = "hunter2"',
    "named otherwise": "ANTHROPIC_API_KEY = 'hunter2'",
    "token in a list": 'auth_token = ["hunter2", "x"]',
    "value": 'description = "sk-ant-hunter2-xyz"',
    "in a table": 'env = { secret = "hunter2", x = 1 }',
    "several lines": 'client_secret = """\nhunter2\n"""',
}


@pytest.mark.parametrize("line", SECRETS.values(), ids=SECRETS)
def test_a_key_is_refused_and_never_shown(tmp_path, monkeypatch, line):
    error = problems_of(tmp_path, monkeypatch, GOOD.replace('name = "good"', f'name = "good"\n{line}'))
    assert any("keys never belong in a job file; set ANTHROPIC_API_KEY" in p.message for p in error.problems)
    assert "hunter2" not in error.rendered
    assert "hunter2" not in str(error)
    assert error.problems[0].file.text.count("\n") == GOOD.count("\n") + 1 + line.count("\n")


@pytest.mark.parametrize("line", ["api_key = hunter2", 'auth-token: "hunter2"', "x = sk-ant-hunter2"])
def test_a_key_is_not_shown_when_the_file_is_not_toml(tmp_path, monkeypatch, line):
    error = problems_of(tmp_path, monkeypatch, f"[model]\n{line}\n")
    assert "hunter2" not in error.rendered


def test_an_example_of_a_field_that_is_called_secret(tmp_path):
    example = '[[prompt.example]]\ndocument = "x"\noutput = {{ trade_secret = "{}" }}\n[output.fields]'
    for value, found in (("Ada", False), ("sk-ant-api03-abc", True)):
        text = GOOD.replace("title = ", "trade_secret = ").replace("[output.fields]", example.format(value))
        (tmp_path / "job.toml").write_text(text)
        if not found:
            assert load_job(tmp_path / "job.toml").examples
            continue
        with pytest.raises(JobFileError, match="keys never belong in a job file") as refused:
            load_job(tmp_path / "job.toml")
        assert value not in str(refused.value)


def test_a_field_may_be_called_secret(tmp_path):
    (tmp_path / "job.toml").write_text(GOOD.replace("title = ", "trade_secret = "))
    assert [c.name for c in load_job(tmp_path / "job.toml").fields.columns] == ["trade_secret"]


def excerpt_of(error):
    lines = error.rendered.split("\n")
    return lines[3].partition("| ")[2], lines[4].partition("| ")[2]


def test_wide_characters_and_tabs_keep_the_caret_below_the_culprit(tmp_path, monkeypatch):
    text = GOOD.replace(FIELD, '\ttitle = { description = "日本é", type = "strin" }')
    source, carets = excerpt_of(problems_of(tmp_path, monkeypatch, text))
    assert source == '    title = { description = "日本é", type = "strin" }'
    assert carets == " " * (source.index('"strin"') + 2) + "^" * 7


def test_a_long_line_is_cut_around_the_culprit(tmp_path, monkeypatch):
    text = GOOD.replace(PROMPT, f'user = "{"x" * 5000} {{{{ doc.txet }}}} {"y" * 5000} {{{{ doc.text }}}}"')
    source, carets = excerpt_of(problems_of(tmp_path, monkeypatch, text))
    assert len(source) < 130
    assert source[carets.index("^") : len(carets)] == "{{ doc.txet }}"


def test_windows_newlines_and_mark_do_not_move_lines(tmp_path, monkeypatch):
    text = "\ufeff" + GOOD.replace("name = ", "nmae = ", 1).replace("\n", "\r\n")
    assert shown_in(problems_of(tmp_path, monkeypatch, text)) == [
        ("2:1", "unknown key `nmae` in [job]", "did you mean `name`?")
    ]


def test_control_characters_are_not_shown(tmp_path, monkeypatch):
    text = GOOD.replace("[budget]", '["\\u001b[31mevil\\u202e"]\n[budget]')
    assert not {"\x1b", "\u202e"} & set(problems_of(tmp_path, monkeypatch, text).rendered)


def test_control_characters_keep_the_caret_below_the_culprit(tmp_path, monkeypatch):
    text = GOOD.replace(FIELD, 'title = { description = "\u202elive\u200b", type = "strin" }')
    source, carets = excerpt_of(problems_of(tmp_path, monkeypatch, text))
    assert source == r'title = { description = "\u202elive\u200b", type = "strin" }'
    assert carets == " " * source.index('"strin"') + "^" * 7


def test_control_characters_of_a_key_are_not_shown_in_help(tmp_path, monkeypatch):
    text = GOOD.replace(FIELD, 'title = { type = "string", "\\u001bminimum" = 1 }')
    assert r"unknown key `\x1bminimum`" in problems_of(tmp_path, monkeypatch, text).rendered


def test_a_file_elsewhere_is_shown_in_full(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "job.toml").write_text("x = 1\n")
    with pytest.raises(JobFileError, match=f" --> {tmp_path}/job.toml:1:1\n"):
        load_job(Path("../job.toml"))


def test_a_prompt_file_is_pointed_into_after_the_job_file(tmp_path, monkeypatch):
    (tmp_path / "user.md").write_text("Hello\n\n  {{ doc.text | upper }}\n")
    text = GOOD.replace(PROMPT, 'user_file = "user.md"').replace("5.00", "-1")
    first, second = problems_of(tmp_path, monkeypatch, text).rendered.split("\n\n")[:2]
    assert " --> job.toml:14:16\n" in first.replace("  -->", " -->")
    assert second.startswith("error: `{{ doc.text | upper }}` is not supported\n --> user.md:3:3\n")


@pytest.mark.parametrize(
    ("word", "choices", "expected"),
    [("nmae", ["name", "model"], "name"), ("NAME", ["name"], "name"), ("zzz", ["name"], None), ("x", [], None)],
)
def test_did_you_mean(word, choices, expected):
    assert did_you_mean(word, choices) == expected
