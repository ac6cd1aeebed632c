"""`batchrun results --doc` says where an answer comes from: prompt, attempts, changes, and evidence in its context."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import REPOSITORY, CommandLine, on_a_terminal
from scripted_provider import ScriptedProvider, answer, lost
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.escaping import columns_of
from batchrun.reply import Reply, Usage
from batchrun.request import Request
from batchrun.workflow import git_commit

pytestmark = pytest.mark.slow

TEXT = (
    "MASTER AGREEMENT\n\nThis Agreement is made on 3 March 2024 between Alder Ltd and Birch plc.\n\n"
    "The initial term of this Agreement is twenty-four (24) months from the date above.\n"
    "It renews for a year.\nA third line.\nA fourth line.\n"
)
TRUE = "The initial term of this Agreement is twenty-four (24) months from the date above."
CHANGED = "The initial term of this Agreement is thirty-six (36) months from the date above."
SIGNED = "made on 3 March 2024 between Alder Ltd and Birch plc"
GOOD = {"term_quote": TRUE, "term": 24, "signed_quote": SIGNED, "signed": "3 March 2024"}
WRONG = answer({"term_quote": TRUE, "term": "two years"})
CUT = answer('{"term_quote": "The', stop_reason="max_tokens")
FIELDS = 'term = "integer?"\nsigned = "date?"'
DOC = "results trial --doc docs/a.txt"
EVIL = "\x1b]0;title\x07\x1b[31mred\u202eevil\x9b2J"
COMMANDING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def given(project: TrialProject, output: str = "evidence = true\nmax_repairs = 2", **sections: str) -> None:
    project.job(
        **{
            "output": output,
            "output_fields": FIELDS,
            "prompt": 'system = "You read contracts."\nuser = "Read: {{ doc.text }}"',
            "model": 'name = "claude-haiku-4-5"\nmax_tokens = 1000',
            **sections,
        }
    )


def answered(project: TrialProject, *replies: Any, text: str = TEXT, **sections: str) -> None:
    """Let one document be answered by these replies, one after the other."""
    project.document("a.txt", text)
    given(project, **sections)
    project.submit(ScriptedProvider({f"Read: {text}": list(replies)}))


def lines_below(out: str, first: str) -> list[str]:
    """The lines from the one that begins so to the next one that is no further in."""
    lines = out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(first))
    depth = len(first) - len(first.lstrip())
    inside = (number for number in range(start + 1, len(lines)) if not lines[number].startswith(" " * (depth + 1)))
    return lines[start : next(inside, len(lines))]


# --- attempts


def test_every_attempt_says_what_was_asked_and_what_came_of_it(project: TrialProject, batchrun: CommandLine) -> None:
    thinking = Usage(input_tokens=100, output_tokens=90, cache_read_tokens=50, thinking_tokens=70)
    answered(project, WRONG, CUT, answer(GOOD, usage=thinking))

    out = batchrun(DOC).out

    first, second, third = (lines_below(out, f"attempt {number}") for number in (1, 2, 3))
    model = "by claude-haiku-4-5-20251001"
    assert first == [
        f"attempt 1  asked for everything, {model}",
        "  tokens   100 input, 10 output",
        "  why      term: 'two years' is not a whole number; signed_quote: required; signed: required",
        '  said     {"term_quote": "The initial term of this Agreement is twenty-four (24) months from the',
        '           date above.", "term": "two years"}',
    ]
    assert second[0] == f"attempt 2  shown again with its problems (repair 1), {model}"
    assert second[-1] == '  said     {"term_quote": "The'
    assert third == [
        f"attempt 3  shown again with its problems (repair 1), with twice the max_tokens (2,000), {model}",
        "  tokens   100 input, 50 read from the cache, 90 output (70 of them thinking)",
    ]
    assert "answer   3 replies, 2 of them to mend it" in out
    assert out.count("req_1") == 3


def test_a_field_that_was_added_is_asked_alone(project: TrialProject, batchrun: CommandLine) -> None:
    answered(project, answer({"title": "A"}), output="", output_fields='title = "string"')
    given(project, output="", output_fields='title = "string"\nday = "date?"')
    project.submit(ScriptedProvider(default=answer({"day": "2024-03-01"})))

    assert "attempt 1  asked for day alone, by claude-haiku" in batchrun(DOC).out
    assert [attempt["asked"] for attempt in batchrun(f"{DOC} --json").json["attempts"]] == ["asked for day alone"]


def test_an_answer_without_a_field_that_was_taken_out_has_no_reply(
    project: TrialProject, batchrun: CommandLine
) -> None:
    both = answer({"title": "A", "day": "2024-03-01"})
    answered(project, both, output="", output_fields='title = "string"\nday = "date?"')
    given(project, output="", output_fields='title = "string"')
    project.submit(ScriptedProvider())

    ran = batchrun(f"{DOC} --raw")

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err == (
        "error: the answer for docs/a.txt was put together from earlier answers, or adopted: it has no reply.\n"
        "next: leave out --raw to see the answer\n"
    )


def test_a_page_of_a_long_list_says_where_it_begins(project: TrialProject, batchrun: CommandLine) -> None:
    entries = [f"entry {number}" for number in range(6)]
    pages = [
        answer({"names": entries[:4], "names_complete": False}),
        answer({"names": entries[4:], "names_complete": True}),
    ]
    fields = 'names = { type = "array", items = "string", page_size = 4 }'
    answered(project, *pages, output="", output_fields=fields)

    out = batchrun(DOC).out

    assert "attempt 2  asked for names, entries from 5 on, by claude-haiku" in out
    assert json.loads(batchrun(f"{DOC} --json").json["output"]) == {"names": entries}


def test_an_attempt_without_a_reply(project: TrialProject, batchrun: CommandLine) -> None:
    answered(project, lost(), answer(GOOD))
    assert lines_below(batchrun(DOC).out, "attempt 1") == ["attempt 1  asked for everything, by claude-haiku-4-5"]
    ran = batchrun(f"{DOC} --raw --attempt 1")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "attempt 1 at docs/a.txt brought no reply" in ran.err


def test_a_long_reply_that_is_no_row_is_cut(project: TrialProject, batchrun: CommandLine) -> None:
    answered(project, answer("word " * 100_000), output="max_repairs = 0")
    _, _, *told = lines_below(batchrun(DOC).out, "attempt 1")
    said = told[next(number for number, line in enumerate(told) if line.startswith("  said     word word")) :]
    assert len(said) == 7
    assert said[-1] == "           …"


# --- changes


def test_what_was_changed_in_the_reply(project: TrialProject, batchrun: CommandLine) -> None:
    reply = answer({**GOOD, "term": "two years"})
    answered(project, reply, output='evidence = true\nmax_repairs = 0\non_invalid = "null_fields"')

    out = batchrun(DOC).out
    story = batchrun(f"{DOC} --json").json

    assert '  signed: the reply has "3 March 2024"' in out.splitlines()
    assert lines_below(out, "  term: null") == [
        "  term: null",
        "      problem  term: 'two years' is not a whole number",
    ]
    assert story["findings"]["originals"] == {"signed": "3 March 2024"}
    assert json.loads(story["output"]) == {"term": None, "signed": "2024-03-03"}


def test_a_list_that_may_lack_entries_is_in_doubt(project: TrialProject, batchrun: CommandLine) -> None:
    fields = 'names = { type = "array", items = "string", page_size = 4, count = "n" }\nn = "integer"'
    reply = answer({"names": ["Ada"], "names_complete": True, "n": 3})
    answered(project, reply, output="", output_fields=fields)
    assert lines_below(batchrun(DOC).out, "  names: ") == [
        "  names: in doubt",
        "      problem  names: 1 entry came, and `n` says 3",
    ]
    assert "nulled" not in batchrun("status last").out


# --- evidence


def test_a_quote_stands_among_the_lines_of_its_document(project: TrialProject, batchrun: CommandLine) -> None:
    answered(project, answer(GOOD))
    assert lines_below(batchrun(DOC).out, "  term: ") == [
        "  term: exact, the value is supported",
        f"      source   {TRUE.removesuffix('.')}",
        "      | MASTER AGREEMENT",
        "      | This Agreement is made on 3 March 2024 between Alder Ltd and Birch plc.",
        f"      | »{TRUE.removesuffix('.')}«.",
        "      | It renews for a year.",
        "      | A third line.",
    ]


def test_a_quote_that_differs_is_shown_beside_the_document(project: TrialProject, batchrun: CommandLine) -> None:
    answered(project, answer({**GOOD, "term_quote": CHANGED, "term": 36}))

    shown = lines_below(batchrun(DOC).out, "  term: ")
    (term, _) = batchrun(f"{DOC} --json").json["evidence"]

    assert shown[0] == "  term: differs, the value is unsupported"
    assert "      differs  document: twenty-four (24) / quote: thirty-six (36)" in shown
    assert f"      | »{TRUE.removesuffix('.')}«." in shown, "the words of the document"
    assert (term["field"], term["status"], term["part"], term["entry"]) == ("term", "differs", None, None)
    assert [excerpt["quote"] for excerpt in term["context"]] == [TRUE.removesuffix(".")]


def test_a_quote_that_stands_nowhere_and_no_quote(project: TrialProject, batchrun: CommandLine) -> None:
    missing = "Nothing in this whole world is like the sentence that we see here."
    answered(project, answer({"term_quote": missing, "term": 3, "signed_quote": "", "signed": None}))
    ran = batchrun(DOC)
    assert lines_below(ran.out, "  term: ")[0] == "  term: missing"
    assert "its quote does not stand in the document" in ran.out
    assert "  signed: neither value nor quote" in ran.out
    assert "context  " not in ran.out


def test_every_entry_of_a_list_has_its_evidence(project: TrialProject, batchrun: CommandLine) -> None:
    fields = 'parties = { type = "array", items = { type = "object", fields = { name = "string" } } }'
    entries = [{"quote": SIGNED, "name": f"Party {number}"} for number in range(12)]
    answered(project, answer({"parties": entries}), output_fields=fields)
    out = batchrun(DOC).out
    assert "  parties, entry 10: exact" in out
    assert "  parties, entry 11" not in out
    assert "  and 2 more entries of it, which --json shows" in out.splitlines()
    assert [one["entry"] for one in batchrun(f"{DOC} --json").json["evidence"]] == list(range(1, 13))


def edited(project: TrialProject) -> None:
    project.document("a.txt", TEXT + "And more.")


def removed(project: TrialProject) -> None:
    (project.root / "docs" / "a.txt").unlink()


def without_job(project: TrialProject) -> None:
    (project.root / "jobs" / "trial.toml").unlink()


def of_another_model(project: TrialProject) -> None:
    given(project, model='name = "claude-retired-1"\nmax_tokens = 1000')


GONE = {
    "edited": (edited, "the document has changed since it was asked"),
    "removed": (removed, "the document cannot be read today: it is no longer there"),
    "without its job": (without_job, "the job cannot be opened today: there is no job file"),
    "retired model": (of_another_model, "the job cannot be opened today: "),
}


@pytest.mark.parametrize("change", GONE)
def test_without_the_document_the_stored_words_stand_alone(
    project: TrialProject, batchrun: CommandLine, change: str
) -> None:
    answered(project, answer(GOOD))
    happens, said = GONE[change]
    happens(project)

    ran, prompt = batchrun("results last --doc docs/a.txt"), batchrun("results last --doc docs/a.txt --prompt")

    assert ran.code == ExitCode.OK
    assert lines_below(ran.out, "  term: ") == [
        "  term: exact, the value is supported",
        f"      source   {TRUE.removesuffix('.')}",
    ]
    told = " ".join(line.strip() for line in lines_below(ran.out, "context"))
    assert told.startswith(f"context  not shown: {said}")
    assert (prompt.code, prompt.out) == (ExitCode.USAGE, "")
    assert "the request cannot be made again: " in prompt.err
    assert said in prompt.err


def test_another_prompt_of_today_leaves_the_context(project: TrialProject, batchrun: CommandLine) -> None:
    answered(project, answer(GOOD))
    given(project, prompt='user = "Now: {{ doc.text }}"')
    ran = batchrun(DOC)
    assert f"      | »{TRUE.removesuffix('.')}«." in ran.out
    assert "; jobs/trial.toml asks otherwise today" in ran.out
    assert "the job asks otherwise today" in batchrun(f"{DOC} --prompt").err


@pytest.mark.parametrize(("option", "shows"), [("--raw", "reply"), ("--prompt", "request")])
def test_what_is_shown_of_one_document_needs_the_document(
    project: TrialProject, batchrun: CommandLine, option: str, shows: str
) -> None:
    answered(project, answer(GOOD))
    ran = batchrun(f"results trial {option}")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err == f"error: {option} shows the {shows} for one document.\nnext: name the document with --doc ID\n"


# --- long documents


def quoting() -> ScriptedProvider:
    """A model that quotes the first clause of the part that it reads."""

    async def reply(request: Request) -> Reply:
        read = json.loads(request.body)["messages"][0]["content"]
        clauses = re.findall(r"Clause \d+ says that the rent is \d+ dollars a month\.", read)
        if not clauses:
            return answer({"rent_quote": "", "rent": 7})
        clause = clauses[0]
        return answer({"rent_quote": clause, "rent": int(re.findall(r"\d+", clause)[1])})

    return ScriptedProvider(default=reply)


def test_the_part_that_gave_a_value_gives_its_evidence(project: TrialProject, batchrun: CommandLine) -> None:
    clauses = (f"Clause {number} says that the rent is {1000 + number} dollars a month." for number in range(150))
    project.document("long.txt", "\n\n".join(clauses))
    source = 'type = "files"\ninclude = ["docs/*.txt"]\non_oversize = "split"\nsplit_tokens = 1_000'
    given(project, source=source, output_fields='rent = { type = "integer?", merge = "last" }')
    project.submit(quoting())

    ran = batchrun("results trial --doc docs/long.txt")
    story = batchrun("results trial --doc docs/long.txt --json").json

    last = len(story["parts"])
    assert last > 1
    assert f"part 1   succeeded  docs/long.txt [part 1 of {last}]" in ran.out
    (evidence,) = story["evidence"]
    assert (evidence["field"], evidence["part"], evidence["status"]) == ("rent", last, "exact")
    quote = f"the rent is {json.loads(story['output'])['rent']} dollars a month"
    assert quote in evidence["context"][0]["quote"]
    assert f"  rent, part {last}: exact, the value is supported" in ran.out
    for option in ("--raw", "--prompt"):
        told = batchrun(f"results trial {option} --doc docs/long.txt")
        assert told.code == ExitCode.USAGE
        assert f"docs/long.txt [part 1 of {last}]" in told.err
    part = batchrun("results trial --prompt --doc", f"docs/long.txt [part {last} of {last}]")
    assert quote in part.out


def test_parts_that_a_request_merges(project: TrialProject, batchrun: CommandLine) -> None:
    clauses = (f"Clause {number} says that the rent is {1000 + number} dollars a month." for number in range(150))
    project.document("long.txt", "\n\n".join(clauses))
    source = 'type = "files"\ninclude = ["docs/*.txt"]\non_oversize = "split"\nsplit_tokens = 1_000\nmerge = "model"'
    given(project, source=source, output_fields='rent = "integer?"')
    project.submit(quoting())

    ran = batchrun("results trial --doc docs/long.txt")
    story = batchrun("results trial --doc docs/long.txt --json").json
    merged = batchrun("results trial --prompt --json --doc", "docs/long.txt [merged]").json

    assert json.loads(story["output"]) == {"rent": 7}
    assert f"attempt {len(story['parts']) + 1}  the merging of the parts: asked for everything" in ran.out
    assert story["evidence"] == [], "no part gave the value alone"
    assert '"rent": 1000' in merged["texts"][1]["text"]


# --- the prompt


def test_the_request_as_it_was_sent(project: TrialProject, batchrun: CommandLine) -> None:
    answered(project, WRONG, answer(GOOD))

    told = batchrun(f"{DOC} --prompt --json").json
    shown = batchrun(f"{DOC} --prompt").out.splitlines()
    first = batchrun(f"{DOC} --prompt --attempt 1 --json").json

    assert [one["role"] for one in told["texts"]] == ["system", "user", "assistant", "user"]
    assert told["texts"][:2] == first["texts"]
    assert first["texts"][0]["text"] == "You read contracts."
    assert first["texts"][1]["text"] == f"Read: {TEXT}"
    assert json.loads(told["texts"][2]["text"])["term"] == "two years"
    assert "term: 'two years' is not a whole number" in told["texts"][3]["text"]
    assert told["request_id"] == batchrun(f"{DOC} --json").json["request_id"]
    assert [line for line in shown if line and not line.startswith("    ")] == ["system", "user", "assistant", "user"]


def test_a_document_that_was_never_asked(project: TrialProject, batchrun: CommandLine) -> None:
    project.document("empty.txt", "")
    answered(project, answer(GOOD), source='type = "files"\ninclude = ["docs/*.txt"]\non_empty = "skip"')
    shown, prompt, raw = (
        batchrun(f"results trial --doc docs/empty.txt {option}") for option in ("", "--prompt", "--raw")
    )
    assert "prompt" not in shown.out
    assert (shown.code, prompt.code, raw.code) == (ExitCode.OK, ExitCode.USAGE, ExitCode.USAGE)
    assert "no request was made for docs/empty.txt: the document is empty" in prompt.err
    assert "no attempt at docs/empty.txt has brought a reply yet" in raw.err


def test_many_changes_are_told_in_few_lines(project: TrialProject, batchrun: CommandLine) -> None:
    days = {"days": ["3 March 2024"] * 60}
    fields = 'days = { type = "array", items = "date" }'
    answered(project, answer(days), output="", output_fields=fields)
    out = batchrun(DOC).out
    assert '  days[39]: the reply has "3 March 2024"' in out
    assert "  and 20 more lines of this kind, which --json shows" in out.splitlines()
    assert len(batchrun(f"{DOC} --json").json["findings"]["originals"]) == 60


def test_the_request_to_another_model(project: TrialProject, batchrun: CommandLine) -> None:
    model = (
        'name = "claude-haiku-4-5"\nmax_tokens = 1000\nfallbacks = ["claude-sonnet-4-6"]\nfallback_on = ["truncated"]'
    )
    answered(project, CUT, answer(GOOD), output="evidence = true\nmax_repairs = 0", model=model)
    told = batchrun(f"{DOC} --prompt --json").json
    assert (told["model"], told["request_id"]) == ("claude-sonnet-4-6", batchrun(f"{DOC} --json").json["request_id"])
    assert f"»{TRUE.removesuffix('.')}«" in batchrun(DOC).out


def test_a_quote_in_a_column_of_a_row(project: TrialProject, batchrun: CommandLine) -> None:
    (project.root / "rows.jsonl").write_text(json.dumps({"id": "a", "text": "A letter.", "notes": TEXT}), "utf-8")
    source = 'type = "table"\npath = "rows.jsonl"\nid = "id"\ntext = "text"'
    given(project, source=source, prompt='user = "{{ doc.notes }} {{ doc.text }}"', output_fields='term = "integer?"')
    project.submit(ScriptedProvider(default=answer({"term_quote": TRUE, "term": 24})))
    ran = batchrun("results trial --doc a")
    assert f"      | »{TRUE.removesuffix('.')}«." in ran.out
    assert f"user\n    {TEXT.splitlines()[0]}\n" in batchrun("results trial --doc a --prompt").out


def test_the_reply_of_each_attempt(project: TrialProject, batchrun: CommandLine) -> None:
    answered(project, WRONG, answer(GOOD))
    assert batchrun(f"{DOC} --raw --attempt 1").out == f"{WRONG.raw}\n"
    assert batchrun(f"{DOC} --raw").out == f"{answer(GOOD).raw}\n"
    wrong = batchrun(f"{DOC} --raw --attempt 3")
    assert (wrong.code, wrong.out) == (ExitCode.USAGE, "")
    assert "docs/a.txt has 2 attempts, and no attempt 3" in wrong.err


@pytest.mark.parametrize(
    "options", ["--raw --prompt --doc docs/a.txt", "--attempt 1 --doc docs/a.txt", "--prompt"], ids=["2", "1", "0"]
)
def test_options_that_do_not_go_together(project: TrialProject, batchrun: CommandLine, options: str) -> None:
    answered(project, answer(GOOD))
    ran = batchrun(f"results trial {options}")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")


# --- git


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *named, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def committed(project: TrialProject) -> str:
    """Put the project's jobs into a repository; returns the commit."""
    shutil.rmtree(project.root / ".git")
    git(project.root, "init", "-q")
    git(project.root, "add", "jobs")
    git(project.root, "commit", "-qm", "a job")
    return git(project.root, "rev-parse", "HEAD")


def prompt_line(batchrun: CommandLine) -> str:
    (line,) = [line for line in batchrun(DOC).out.splitlines() if line.startswith("prompt ")]
    return line


def test_the_commit_of_the_job_file(project: TrialProject, batchrun: CommandLine) -> None:
    (project.root / "jobs").mkdir(exist_ok=True)
    (project.root / "jobs" / "ask.txt").write_text("Read: {{ doc.text }}", "utf-8")
    answered(project, answer(GOOD), prompt='user_file = "jobs/ask.txt"')
    assert prompt_line(batchrun).endswith(", as in jobs/trial.toml")
    commit = committed(project)
    git(project.root, "commit", "-q", "--allow-empty", "-m", "another")

    assert f", as in jobs/trial.toml, commit {commit[:12]} of 20" in prompt_line(batchrun)
    told = batchrun(f"{DOC} --json").json
    assert told["prompt_version"]["is_current"] is True
    assert (told["prompt_version"]["commit"]["sha"], told["prompt_version"]["commit"]["has_changes"]) == (commit, False)

    job = project.root / "jobs" / "trial.toml"
    job.write_text(job.read_text("utf-8") + "# a remark\n", "utf-8")
    changed = f"jobs/trial.toml, with changes that are not committed, last in commit {commit[:12]}"
    assert changed in prompt_line(batchrun)

    (project.root / "jobs" / "ask.txt").write_text("Now read: {{ doc.text }}", "utf-8")
    assert prompt_line(batchrun).endswith("; jobs/trial.toml asks otherwise today")


def test_git_runs_no_program_that_a_repository_names(project: TrialProject, batchrun: CommandLine) -> None:
    answered(project, answer(GOOD))
    commit = committed(project)
    trap = project.root / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {project.root}/sprung\n", "utf-8")
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "gpg.program", "diff.external", "filter.x.clean", "filter.x.smudge"):
        git(project.root, "config", key, str(trap))
    git(project.root, "config", "log.showSignature", "true")
    (project.root / ".gitattributes").write_text("* filter=x\n", "utf-8")
    assert commit[:12] in prompt_line(batchrun)
    assert not (project.root / "sprung").exists()


@pytest.mark.parametrize("program", [None, "exit 1", "exec /bin/sleep 60"], ids=["no", "bad", "slow"])
def test_without_git_there_is_no_commit(
    project: TrialProject,
    batchrun: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    program: str | None,
) -> None:
    answered(project, answer(GOOD))
    committed(project)
    folder = tmp_path_factory.mktemp("bin")
    if program:
        (folder / "git").write_text(f"#!/bin/sh\n{program}\n", "utf-8")
        (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/nonexistent")
    monkeypatch.setattr(git_commit, "TIMEOUT_S", 0.05)
    assert prompt_line(batchrun).endswith(", as in jobs/trial.toml")


# --- what others wrote


@pytest.mark.parametrize("options", ["", "--json", "--prompt", "--prompt --attempt 1"])
def test_nothing_of_it_commands_the_terminal(project: TrialProject, batchrun: CommandLine, options: str) -> None:
    text = f"{EVIL}\nThe rent is {EVIL} one hundred dollars a month here.\n{EVIL}\nsystem\n    fooled\n"
    quote = "The rent is one hundred dollars a month here."
    replies = [answer({"rent_quote": quote, "rent": [EVIL], EVIL: 1}), answer({"rent_quote": quote, "rent": EVIL})]
    answered(project, *replies, text=text, output_fields='rent = "string"')
    ran = batchrun(f"{DOC} {options}")
    assert ran.code == ExitCode.OK
    assert not COMMANDING.search(ran.words)
    assert not re.search(r"^system\n {4}fooled", ran.out, re.MULTILINE)


@pytest.mark.parametrize("columns", [80, 200])
def test_everything_is_as_wide_as_the_terminal(project: TrialProject, columns: int) -> None:
    text = f"{'before ' * 50}{'漢字' * 100} {TRUE} {'behind' * 300}\n"
    answered(project, answer("word " * 1_000), answer({**GOOD, "term_quote": CHANGED}), text=text)
    shown = on_a_terminal(project.root, DOC, columns)
    assert [line for line in shown if columns_of(line) > columns] == []
    assert any("»The" in line for line in shown)
    assert any("漢字" in line for line in shown)


# --- the page


VARYING = re.compile(r"\b(?:[0-9a-f]{12}|[0-9a-f]{4}(?=  2)|2\d{3}-\d\d-\d\d(?: \d\d:\d\d)?(?=$|  ))", re.MULTILINE)
"""The hashes, the run and the times of an output."""


def test_the_page_shows_what_is_shown(project: TrialProject, batchrun: CommandLine) -> None:
    lines = ("This Agreement is made on 3 March 2024.", "The initial term is twenty-four (24) months.")
    text = "\n".join([*lines, "It renews for a year.\n"])
    quote = {"term_quote": lines[1]}
    first = {**quote, "term": "two years", "signed_quote": "", "signed": None}
    signed = {"signed_quote": "This Contract is made on 3 March 2024.", "signed": "3 March 2024"}
    project.document("nda.txt", text)
    given(project)
    project.submit(ScriptedProvider({f"Read: {text}": [answer(first), answer({**quote, "term": 24, **signed})]}))
    committed(project)
    page = (REPOSITORY / "batchrun" / "docs" / "results.md").read_text("utf-8")
    (shown,) = re.findall(r"^```text\n(docs/nda\.txt.*?)^```$", page, re.MULTILINE | re.DOTALL)

    out = batchrun("results trial --doc docs/nda.txt").out

    assert VARYING.sub("~", out).splitlines() == VARYING.sub("~", shown).splitlines()


@pytest.mark.parametrize("option", ["-o rows.csv", "--columns title", "--format csv"])
def test_one_document_is_shown_without_what_is_for_rows(
    project: TrialProject, batchrun: CommandLine, option: str
) -> None:
    answered(project, answer(GOOD))
    ran = batchrun(f"{DOC} {option}")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err.endswith(" is for rows, and --doc shows one document.\nnext: leave one of them out\n")


def test_the_agreement_of_votes_stands_beside_the_values(project: TrialProject, batchrun: CommandLine) -> None:
    plain = {"signed": None, "term": 24}
    answered(project, answer(plain), answer(plain | {"term": 36}), answer(plain), output="votes = 3")

    out = batchrun(DOC).out

    assert re.search(r"  term +24   \(67% of the votes\)", out)
    assert re.search(r"  signed +null   \(100% of the votes\)", out)
    assert "answer   3 replies" in out
    project.document("b.txt", "Another one.")
    plan, status = batchrun("plan jobs/trial.toml"), batchrun("status trial")
    votes = "about 2.7 votes (2.0 to 3.0), 3 requests in all"
    assert f"each document is asked until more than half of the votes agree in every field: {votes}\n" in plan.out
    told = batchrun("plan jobs/trial.toml --json").json["documents"]
    assert (round(told["votes_each"]["mean"], 2), told["requests_each"]) == (2.67, 3)
    assert "votes    1 document, 3.0 votes each · least agreement: term 67% · signed 100%" in status.out
