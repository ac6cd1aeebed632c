"""The job files of the repository: they load, and the reference names every key there is."""

import re
from pathlib import Path

import pytest

from batchrun.job.field_types import ArrayField, EnumField, NumberField, ObjectField, TextField
from batchrun.job.load import load_job
from batchrun.job.provider_sections import TYPES, ProviderSection
from batchrun.job.scaffold import SOURCES, scaffold
from batchrun.job.schema_lookup import keys_of, sections
from batchrun.job.spec import ExampleSection, JobSpec
from batchrun.planning.request_template import RequestTemplate

JOBS = Path(__file__).parents[2] / "jobs"
REFERENCE = (JOBS / "contracts.toml").read_text()


@pytest.mark.parametrize("path", sorted(JOBS.glob("*.toml")), ids=lambda path: path.name)
def test_it_loads(path):
    job = load_job(path)
    assert job.spec.job.name == path.stem
    assert len(RequestTemplate(job).fingerprint) == 64


def named_keys():
    """Read the keys of each table from the text, commented out or not."""
    keys: dict[str, set[str]] = {}
    table, in_text = "", False
    for line in REFERENCE.splitlines():
        if header := re.match(r"(?:# )?\[{1,2}([a-z.]+)\]", line):
            table = header[1]
        elif not in_text and (key := re.match(r"(?:# )?([a-z_]+) += ", line)):
            keys.setdefault(table, set()).add(key[1])
        in_text ^= line.count('"""') == 1
    return keys


@pytest.mark.parametrize("section", sorted(sections(JobSpec)))
def test_the_reference_names_every_key_and_no_other(section):
    known = {key for model in sections(JobSpec)[section] for key in keys_of(model)}
    tables = {table.removeprefix(f"{section}.") for table in named_keys() if table.startswith(f"{section}.")}
    if section == "providers":  # the name of a table below is a person's
        assert tables == {"home"}
        assert named_keys()["providers.home"] <= known
        return
    assert named_keys()[section] | tables == known


def test_the_reference_names_every_key_of_an_example():
    assert named_keys()["prompt.example"] == set(keys_of(ExampleSection))


def test_the_reference_names_every_table():
    dynamic = {"providers", "providers.home"}
    assert set(named_keys()) ^ {"", *sections(JobSpec), "output.fields", "prompt.example"} == dynamic
    assert named_keys()[""] == {"version"}


def test_the_reference_shows_every_key_of_a_field():
    shown = set(re.findall(r"([a-z_]+) = ", REFERENCE.partition("[output.fields]")[2].partition("[run]")[0]))
    kinds = (TextField, NumberField, EnumField, ArrayField, ObjectField)
    assert {key for kind in kinds for key in keys_of(kind)} <= shown


def uncommented(text, table):
    """Turn the commented samples of one table on."""
    head, mark, rest = text.partition(f"\n[{table}]")
    body, *tail = re.split(r"(?=\n(?:# )?\[{1,2}[a-z.]+\])", rest, maxsplit=1)
    return head + mark + re.sub(r"(?m)^# (?=[a-z_]+ += )", "", body) + "".join(tail)


@pytest.mark.parametrize(
    "table", ["output", "output.fields", "model", "run", "pilot", "batch", "limits", "retry", "store"]
)
def test_the_commented_samples_load(tmp_path, table):
    reference = REFERENCE.replace("# [output]", "[output]")
    text = uncommented(reference, table)
    for key in (
        "tier = ",
        "schema_file = ",
        'model = "',
        'groups = "',
    ):  # these stand instead of others, or are no default
        text = text.replace(f"\n{key}", f"\n# {key}")
    (tmp_path / "job.toml").write_text(text)
    job = load_job(tmp_path / "job.toml")
    if table in {"output", "run", "batch", "retry", "store"}:
        run = job.spec.run.model_copy(
            update={"deadline_s": None, "max_failure_rate": None, "max_at_risk_nusd": None}
        )  # samples, no defaults
        assert job.spec.model_copy(update={"run": run}) == load_job(JOBS / "contracts.toml").spec, (
            "a sample said to be the default is not"
        )


def test_the_sample_of_a_cascade_loads(tmp_path):
    text = uncommented(REFERENCE.replace("# [cascade]", "[cascade]"), "cascade")
    (tmp_path / "job.toml").write_text(text.replace('name = "claude-sonnet-5-5"', "# no name"))
    cascade = load_job(tmp_path / "job.toml").spec.cascade
    assert cascade is not None
    assert cascade.escalate_on == type(cascade)(models=("a", "b")).escalate_on, "a sample said to be the default is not"


def test_the_sample_of_the_providers_loads(tmp_path):
    text = uncommented(REFERENCE.replace("# [providers.home]", "[providers.home]"), "providers.home")
    (tmp_path / "job.toml").write_text(text)
    assert load_job(tmp_path / "job.toml").providers.sections["home"].free


OF_PROVIDER = REFERENCE.partition("# [provider]")[2].partition("# [providers.home]")[0]


@pytest.mark.parametrize("key", keys_of(ProviderSection))
def test_the_sample_of_a_key_of_provider_loads_where_its_comment_says(tmp_path, key):
    line, said = re.search(rf"(?m)^# ({key} = .*?)(?:  +#(.*))?$", OF_PROVIDER).groups()
    of = re.match(" of (.*?)(?::|;|$)", said or "")
    types = re.findall("|".join(TYPES), of[1]) if of else ["anthropic"]
    for name in types:
        kind = f'type = "{name}"\n' if key != "type" else ""
        buckets = {"vertex": 'bucket = "gs://b"', "bedrock": f'role = "arn"\n{line}'}
        line = buckets[name] if key == "bucket" else line
        job = REFERENCE.replace("# [provider] ", f"[provider]\n{kind}{line} #")
        (tmp_path / "job.toml").write_text(job)
        assert load_job(tmp_path / "job.toml").providers.default == name


def test_the_sample_of_an_example_loads(tmp_path):
    sample = "[[prompt.example]]", "document = ", "output = "
    text = re.sub(rf"(?m)^# (?={'|'.join(map(re.escape, sample))})", "", REFERENCE)
    (tmp_path / "job.toml").write_text(text)
    (example,) = load_job(tmp_path / "job.toml").examples
    assert list(example.output) == [*load_job(JOBS / "contracts.toml").fields.definitions]


def test_the_samples_of_checks_load(tmp_path):
    head, mark, samples = REFERENCE.partition("# [[check]]")
    (tmp_path / "job.toml").write_text(head + re.sub(r"(?m)^# (?=\[\[|[a-z_]+ += )", "", mark + samples))
    checks = load_job(tmp_path / "job.toml").spec.check
    assert [check.type for check in checks] == [None, "null_rate", "unique", "in_range"]
    assert checks[0].severity == "error", "a sample said to be the default is not"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", ["contracts", "my-job_2"])
def test_a_new_job_loads(tmp_path, name, source):
    path = tmp_path / "job.toml"
    path.write_text(scaffold(name, SOURCES[source], path="job.toml", schema="job.schema.json"))
    job = load_job(path)
    assert (job.spec.job.name, job.spec.source.type) == (name, source)
    assert job.spec.budget.max_cost_nusd == 5_000_000_000
