"""What GitHub, Prometheus and a program hear of one run in which documents failed."""

import re

from heard_run import Heard
from json_page import OF_NOTIFY, breaches


def test_github_has_nine_annotations_and_one_for_the_rest(heard: Heard) -> None:
    annotations = [line for line in heard.said if line.startswith("::")]
    kinds = [line.split(" ")[0] for line in annotations]
    assert kinds == ["::warning"] * 10 + ["::error"]
    assert re.fullmatch(r"::warning title=batchrun trial::docs/00\d\d\.txt: refused.*", annotations[0])
    assert annotations[9].endswith("::and 3 more documents without a row")
    assert "3 of 15 documents have a row" in annotations[10]
    assert heard.said == annotations, "nothing else was said"


def test_the_summary_of_the_step_follows_what_others_wrote(heard: Heard) -> None:
    text = (heard.project.root / "step.md").read_text("utf-8")
    assert text.startswith(f"what another step wrote\n## trial run {heard.told['run']}\n")
    assert "| documents | 3 succeeded, 12 refused |" in text


def test_the_program_of_notify_reads_the_end_of_the_run(heard: Heard) -> None:
    told = heard.told
    assert list(breaches(told, more=OF_NOTIFY)) == []
    assert (told["event"], told["why"], told["exit_code"]) == ("run_end", "end", 1)
    assert told["text"] == f"trial: run {told['run']} ended with exit code 1: 3 of 15 documents have a row, $0.00225"


def test_the_program_of_notify_gets_no_key(heard: Heard) -> None:
    environment = (heard.project.root / "environment").read_text("utf-8")
    assert "PATH=" in environment
    assert "ANTHROPIC_API_KEY" not in environment


def test_prometheus_reads_every_number(heard: Heard) -> None:
    lines = heard.metrics.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    job = 'batchrun_job="trial"'
    assert found[f"batchrun_last_run_exit_code{{{job}}}"] == "1"
    assert found[f'batchrun_last_run_documents{{{job},status="refused"}}'] == "12"
    assert found[f'batchrun_last_run_documents{{{job},status="pending"}}'] == "0"
    assert found[f'batchrun_last_run_tokens{{{job},type="input"}}'] == "1500"
    assert found[f"batchrun_last_run_cost_usd{{{job}}}"] == "0.00225"
    assert found[f"batchrun_budget_usd{{{job}}}"] == "1.0"
    assert f"batchrun_last_success_timestamp_seconds{{{job}}}" not in found, "no run has succeeded yet"


def test_the_textfile_is_one_that_node_exporter_takes(heard: Heard) -> None:
    """Each line is a comment or a sample without a timestamp, and each metric has its help and type before it."""
    text, typed = heard.metrics, set[str]()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split(" ")[2])
        elif not line.startswith("# HELP "):
            sample = re.fullmatch(r'(batchrun_\w+)\{(\w+="[^"]*",?)+\} \d+(\.\d+)?(e-\d+)?', line)
            assert sample, line
            assert sample[1] in typed
    assert [path.name for path in (heard.project.root / "metrics").iterdir()] == ["trial.prom"]
    assert (heard.project.root / "metrics" / "trial.prom").stat().st_mode & 0o044, "the exporter is another user"
