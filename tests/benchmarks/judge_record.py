"""Writes down what servers of other people answer: the recordings that tests play back.

    python tests/benchmarks/judge_record.py [FOLDER]

`_judge_servers.py` says which servers have to be there. Headers that tell a time, a host or how a connection is kept
are left out, and so are the folders in which a server is installed.
"""

import json
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from _judge_servers import LITELLM_KEY, all_servers

FOLDER = Path(__file__).resolve().parent.parent / "providers" / "recordings"
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 20},
        "pages": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["title", "pages"],
    "additionalProperties": False,
}
KEPT = re.compile(
    r"content-type|retry-after|server|(x-)?request-id|x-ratelimit-.*|anthropic-ratelimit-.*|x-litellm-(call-id|version)"
)
FOLDERS = re.compile(r'/[^"\s]*/site-packages/')
LONGEST = 4_000

FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}
FUNCTION = {"name": "answer", "description": "Takes the answer.", "parameters": SCHEMA, "strict": True}
CHAT_TOOL = {
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "answer"}},
}
CLAUDE_TOOL = {
    "tools": [{"name": "answer", "description": "Takes the answer.", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "answer"},
}
SAYS = {"messages": [{"role": "user", "content": "What is this? A letter of three pages."}]}
LONG = {"messages": [{"role": "user", "content": "word " * 12_000}]}
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"


def asked(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 120, **SAYS, **more}


LLAMA: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (CHAT, asked("tiny")),
    "chat, cut": (CHAT, asked("tiny", max_tokens=2)),
    "chat, schema": (CHAT, asked("tiny", response_format=FORMAT)),
    "chat, tool": (CHAT, asked("tiny", **CHAT_TOOL)),
    "chat, too long": (CHAT, asked("tiny", **LONG)),
    "chat, another limit": (CHAT, {"model": "tiny", "max_completion_tokens": 2, **SAYS}),
    "chat, unknown model": (CHAT, asked("nobody")),
    "messages": (MESSAGES, asked("tiny")),
    "messages, cut": (MESSAGES, asked("tiny", max_tokens=2)),
    "messages, too long": (MESSAGES, asked("tiny", **LONG)),
    "responses": (RESPONSES, {"model": "tiny", "max_output_tokens": 60, "input": "What is this?"}),
    "responses, cut": (RESPONSES, {"model": "tiny", "max_output_tokens": 2, "input": "What is this?"}),
    "batches": ("/v1/batches", {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}),
}
PROXY: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        f"{name}, {model}": (path, asked(model))
        for name, path in (("chat", CHAT), ("messages", MESSAGES))
        for model in ("mock", "mock-429", "mock-context", "mock-500", "dead", "nobody", "llama", "claude-haiku-5-5")
    },
    "chat, paid": (CHAT, asked("spent")),
    "chat, spent": (CHAT, asked("spent")),
    "messages, spent": (MESSAGES, asked("spent")),
    "chat, llama, schema": (CHAT, asked("llama", response_format=FORMAT)),
    "chat, llama, too long": (CHAT, asked("llama", **LONG)),
    "messages, llama, cut": (MESSAGES, asked("llama", max_tokens=2)),
    "chat, claude, tool": (CHAT, asked("claude-haiku-5-5", **CHAT_TOOL)),
    "messages, claude, tool": (MESSAGES, asked("claude-haiku-5-5", **CLAUDE_TOOL)),
    "responses, mock": (RESPONSES, {"model": "mock", "max_output_tokens": 60, "input": "What is this?"}),
}


def exchange(address: str, path: str, body: dict[str, Any], *, key: str = "") -> dict[str, Any]:
    """Ask once, and write down what was asked and answered."""
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    proof = {"authorization": f"Bearer {key}"} if key else {}
    sent = urllib.request.Request(address + path, json.dumps(body).encode(), {**headers, **proof}, method="POST")
    try:
        with urllib.request.urlopen(sent, timeout=120) as answer:
            status, told, text = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, told, text = error.code, error.headers, error.read()
    shown = {"method": "POST", "path": path, "headers": headers | ({"authorization": "Bearer …"} if key else {})}
    if len(json.dumps(body)) > LONGEST:
        body = {**body, "messages": f"{len(json.dumps(body))} bytes"}
    kept = {name.lower(): value for name, value in told.items() if KEPT.fullmatch(name.lower())}
    words = FOLDERS.sub("…/site-packages/", text.decode().replace(address, "http://server"))
    words = re.sub(r"127\.0\.0\.1(:\d+)?", "server", words)
    return {"request": {**shown, "body": body}, "response": {"status": status, "headers": kept, "body": words}}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    with all_servers() as servers:
        for name in ("llama_server", "llama_cpp_python", "litellm"):
            key = LITELLM_KEY if name == "litellm" else ""
            cases = PROXY if name == "litellm" else LLAMA
            said = {case: exchange(servers[name], *asking, key=key) for case, asking in cases.items()}
            if name == "litellm":
                said["chat, no key"] = exchange(servers[name], *cases["chat, mock"], key="sk-nobody")
                said["messages, no key"] = exchange(servers[name], *cases["messages, mock"], key="sk-nobody")
            (folder / f"{name}.json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", "utf-8")
            print(name, {case: one["response"]["status"] for case, one in said.items()})


if __name__ == "__main__":
    main()
