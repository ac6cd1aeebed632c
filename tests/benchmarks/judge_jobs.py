"""Jobs through servers of other people: a folder of documents, by the command line alone.

    python tests/benchmarks/judge_jobs.py [documents] [name of a case ...]

`_judge_servers.py` says which servers have to be there. A case is a [provider] with a model; what is told of it is the
exit code, how many rows came of how many documents, what was spent, and the last lines that batchrun wrote. The model
behind llama.cpp has random weights: its answers fit the schema or they do not come out as rows.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from _judge_servers import CONTEXT, LITELLM_KEY, all_servers

ROOT = Path(__file__).resolve().parent.parent.parent
JOB = """\
[job]
name = "judged"
[provider]
{provider}
[source]
type = "files"
include = ["docs/*.txt"]
[model]
name = "{model}"
max_tokens = 400
{model_more}
[prompt]
system = "You read letters."
user = "{{{{ doc.text }}}}"
[output]
max_repairs = 1
{output}
[output.fields]
title = "string"
pages = "integer"
kind = {{ enum = ["letter", "report"], type = "enum" }}
[run]
route = "{route}"
max_concurrency = 4
[retry]
max_attempts = 3
initial_delay = "0.1s"
[budget]
max_cost_usd = 1.0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One job: where it goes, and which answers it may have."""

    server: str
    type: str = "openai"
    model: str
    path: str = "/v1"
    provider: str = "free = true"
    model_more: str = ""
    output: str = ""
    route: str = "stream"
    environment: dict[str, str] = field(default_factory=dict)
    exit_codes: tuple[int, ...] = (0,)


KEYED = {"ANTHROPIC_API_KEY": LITELLM_KEY, "GATEWAY_KEY": LITELLM_KEY}
OWN = f"free = true\ncontext_window = {CONTEXT // 2}"
GATEWAY = OWN + '\napi_key_env = "GATEWAY_KEY"'
CASES = {
    "llama.cpp, chat": Case(server="llama_server", model="tiny", provider=OWN, exit_codes=(0, 1)),
    "llama.cpp, responses": Case(  # there the schema is not kept to
        server="llama_server", model="tiny", provider=OWN + '\napi = "responses"', exit_codes=(1, 4)
    ),
    "llama.cpp, messages": Case(
        server="llama_server",
        type="anthropic",
        path="",
        model="tiny",
        provider=OWN,
        environment={"ANTHROPIC_API_KEY": "any-key-at-all"},
        exit_codes=(1, 4),  # nor here
    ),
    "llama.cpp, xml": Case(server="llama_server", model="tiny", provider=OWN, output='mode = "xml"', exit_codes=(1, 4)),
    "llama-cpp-python, tool": Case(
        server="llama_cpp_python", model="tiny", provider=OWN + "\nstructured_output = false", exit_codes=(0, 1)
    ),
    "llama-cpp-python, schema": Case(server="llama_cpp_python", model="tiny", provider=OWN, exit_codes=(1, 5)),
    "LiteLLM, chat, llama": Case(server="litellm", model="llama", provider=GATEWAY, environment=KEYED),
    "LiteLLM, chat, simulator, tool": Case(
        server="litellm",
        model="claude-haiku-5-5",
        provider='structured_output = false\napi_key_env = "GATEWAY_KEY"\nfree = true\ncontext_window = 200_000',
        environment=KEYED,
    ),
    "LiteLLM, messages, simulator": Case(
        server="litellm",
        type="anthropic",
        path="",
        model="claude-haiku-5-5",
        provider='api_key_env = "ANTHROPIC_API_KEY"',
        environment=KEYED,
    ),
    "LiteLLM, messages, simulator, another key": Case(
        server="litellm",
        type="anthropic",
        path="",
        model="claude-haiku-5-5",
        provider='api_key_env = "GATEWAY_KEY"',
        environment={"GATEWAY_KEY": LITELLM_KEY},
    ),
    "LiteLLM, messages, batches": Case(
        server="litellm",
        type="anthropic",
        path="",
        model="claude-haiku-5-5",
        provider="",
        route="batch",
        environment=KEYED,
        exit_codes=(1, 2, 3, 5),
    ),
    "LiteLLM, chat, budget": Case(
        server="litellm", model="spent", provider=GATEWAY, environment=KEYED, exit_codes=(4,)
    ),
    "LiteLLM, chat, 429 for ever": Case(
        server="litellm",
        model="mock-429",
        provider=GATEWAY,
        environment=KEYED,
        exit_codes=(1, 5, 124),
    ),
    "LiteLLM, chat, nobody behind": Case(
        server="litellm", model="dead", provider=GATEWAY, environment=KEYED, exit_codes=(1, 5)
    ),
    "LiteLLM, chat, unknown model": Case(
        server="litellm", model="nobody", provider=GATEWAY, environment=KEYED, exit_codes=(4,)
    ),
    "LiteLLM, chat, bad key": Case(
        server="litellm",
        model="mock",
        provider=GATEWAY,
        environment={"GATEWAY_KEY": "sk-nobody-0123456789"},
        exit_codes=(4,),
    ),
}
SECONDS = 300


def project(folder: Path, case: Case, address: str, documents: int) -> Path:
    """Write the documents and the job file of a case."""
    (folder / "docs").mkdir()
    (folder / ".git").mkdir()
    for number in range(documents):
        words = f"Letter {number}.\n" + "We thank you for your letter of last week. " * (number % 7 + 1)
        (folder / "docs" / f"{number:03}.txt").write_text(words)
    provider = f'type = "{case.type}"\nbase_url = "{address}{case.path}"\n{case.provider}'
    text = JOB.format(
        provider=provider, model=case.model, model_more=case.model_more, output=case.output, route=case.route
    )
    job = folder / "job.toml"
    job.write_text(text)
    return job


def batchrun(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command in a project, in an environment that has the given credentials alone."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANTHROPIC", "OPENAI", "AWS", "GOOGLE"))
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "batchrun", *arguments],
            cwd=folder,
            env={**env, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "PYTHONWARNINGS": "default", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
        return 124, said.decode() if isinstance(said, bytes) else said
    return done.returncode, done.stdout


def judge(name: str, case: Case, address: str, documents: int) -> bool:
    """Run one case; tell what came of it, and return whether that is what should have."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        job = project(folder, case, address, documents)
        code, said = batchrun(
            folder, "submit", str(job), "--progress", "lines", "--partial-answers", **case.environment
        )
        rows, spent = 0, ""
        if (folder / "results").exists():
            _, listed = batchrun(folder, "results", "--format", "jsonl", **case.environment)
            rows = sum('"title"' in line for line in listed.splitlines())
            _, cost = batchrun(folder, "status", "--json", **case.environment)
            spent = str(_found(cost, "cost_usd"))
    shown = [secret for secret in case.environment.values() if secret in said]
    good = code in case.exit_codes and not shown and "Traceback" not in said and "Warning" not in said
    print(f"{'ok  ' if good else 'BAD '} {name}: exit {code}, {rows} rows of {documents}, spent {spent}")
    if shown:
        print("     A KEY IS SHOWN")
    print("".join(f"     | {line}\n" for line in said.splitlines()[-24:]))
    return good


def _found(text: str, key: str) -> object:
    try:
        told = json.loads(text)
    except ValueError:
        return "?"
    return told.get(key, "?") if isinstance(told, dict) else "?"


def main() -> None:
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    wanted = sys.argv[2:] or [*CASES]
    with all_servers() as servers:
        good = [judge(name, CASES[name], servers[CASES[name].server], documents) for name in wanted]
    print(f"{sum(good)} of {len(good)} as they should be")
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
