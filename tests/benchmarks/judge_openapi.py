"""Checks what is said on the wire of OpenAI against the published OpenAPI description of that API.

    python tests/benchmarks/judge_openapi.py openapi.json [documents] [--upstream llama]

The description is `openapi.json` of github.com/openai/openai-openapi. A proxy stands between batchrun and our simulator
(or llama.cpp's server), and validates every request body, every line of a file for a batch, and every answer. Jobs go
through it over Chat Completions, over Responses (llama.cpp), with a tool, and in batches (simulator). Keys that
the description does not know are violations too.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
from _judge_servers import llama_server, simulator
from aiohttp import web
from judge_jobs import Case, batchrun, project

REQUESTS = {
    "/v1/chat/completions": "CreateChatCompletionRequest",
    "/v1/responses": "CreateResponse",
    "/v1/batches": "CreateBatchRequest",
}
ANSWERS = {
    "/v1/chat/completions": "CreateChatCompletionResponse",
    "/v1/responses": "Response",
    "/v1/batches": "Batch",
    "/v1/files": "OpenAIFile",
}
BATCHED = "gpt-6-luna"
"""A model that has a price, as batches at OpenAI want."""
KEY = "sk-judge-0123456789abcdef"


class Description:
    """The schemas of the description."""

    def __init__(self, path: Path) -> None:
        self._components = json.loads(path.read_text("utf-8"))["components"]

    def faults(self, name: str, value: Any) -> Iterator[str]:
        """Yield what is wrong with a value, by the schema of this name."""
        schema = {"$ref": f"#/components/schemas/{name}", "components": self._components}
        for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
            yield f"{name}: {_innermost(error)}"
        if isinstance(value, dict):
            known = set(self._keys(self._components["schemas"][name]))
            yield from (f"{name}: the key `{key}` is not known" for key in value if known and key not in known)

    def _keys(self, schema: dict[str, Any]) -> Iterator[str]:
        if reference := schema.get("$ref"):
            yield from self._keys(self._components["schemas"][reference.rpartition("/")[2]])
        yield from schema.get("properties", {})
        for part in [*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())]:
            yield from self._keys(part)


def _innermost(error: jsonschema.ValidationError) -> str:
    """Follow the choice that a value has made by its type, and tell the first fault there."""
    while error.context:
        choices = defaultdict[object, list[jsonschema.ValidationError]](list)
        for one in error.context:
            choices[one.schema_path[0]].append(one)
        meant = [faults for faults in choices.values() if not any(_is_of_type(one) for one in faults)]
        error = min(meant or choices.values(), key=len)[0]
    return f"{'/'.join(map(str, error.absolute_path)) or '(whole)'}: {error.message[:300]}"


def _is_of_type(error: jsonschema.ValidationError) -> bool:
    return error.validator == "type" or (
        error.validator in {"enum", "const"} and list(error.path)[-1:] in (["type"], ["role"])
    )


class Proxy:
    """Passes everything on, and counts what is wrong on the way."""

    def __init__(self, description: Description, upstream: str) -> None:
        self._description, self._upstream = description, upstream
        self.faults, self.checked = Counter[str](), Counter[str]()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self._check_request(request, body)
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in {"host", "content-length"}
        }
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(request.method, self._upstream + request.path_qs, data=body, headers=headers) as answer,
        ):
            said = await answer.read()
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}
            }
            if answer.status == 200 and not request.path.endswith("/content") and said.startswith(b"{"):
                self._check_answer(request, json.loads(said))
            return web.Response(body=said, status=answer.status, headers=kept)

    def _check_request(self, request: web.Request, body: bytes) -> None:
        if request.method != "POST":
            return
        if not request.headers.get("authorization", "").startswith("Bearer "):
            self.faults[f"{request.path}: no Bearer credential"] += 1
        if request.path in REQUESTS:
            self._check(REQUESTS[request.path], body)
        elif request.path == "/v1/files":
            for line in body.split(b"\n"):
                if line.startswith(b'{"custom_id"'):
                    self._check_line(line)

    def _check_line(self, line: bytes) -> None:
        asked = json.loads(line)
        self.checked["lines of a batch"] += 1
        if set(asked) != {"custom_id", "method", "url", "body"} or asked["method"] != "POST":
            self.faults[f"a line of a batch has the keys {sorted(asked)}"] += 1
        self._check(
            REQUESTS.get(asked.get("url"), "CreateChatCompletionRequest"), json.dumps(asked.get("body")).encode()
        )

    def _check(self, name: str, body: bytes) -> None:
        self.checked[name] += 1
        try:
            value = json.loads(body)
        except ValueError:
            self.faults[f"{name}: not JSON"] += 1
            return
        self.faults.update(self._description.faults(name, value))

    def _check_answer(self, request: web.Request, value: Any) -> None:
        known = next((name for path, name in ANSWERS.items() if request.path.startswith(path)), None)
        if known and isinstance(value, dict) and value.get("object") not in {"list", None}:
            self.checked[known] += 1
            self.faults.update(f"OF THE SERVER: {fault}" for fault in self._description.faults(known, value))


async def judge(proxy: Proxy, cases: dict[str, Case], documents: int) -> bool:
    """Run the jobs through the proxy."""
    app = web.Application(client_max_size=10**9)
    app.router.add_route("*", "/{any:.*}", proxy.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    good = True
    for name, case in cases.items():
        proxy.faults.clear()
        proxy.checked.clear()
        with tempfile.TemporaryDirectory() as temporary:
            job = project(Path(temporary), case, address, documents)
            keys = {"GATEWAY_KEY": KEY}
            if case.route == "batch":  # only OpenAI itself is known to have batches, or who stands in for it
                own = f'base_url = "{address}/v1"\n'
                job.write_text(job.read_text().replace(own, ""))
                keys = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{address}/v1"}
            arguments = ("submit", str(job), "--progress", "lines", "--partial-answers")
            code, said = await asyncio.to_thread(batchrun, Path(temporary), *arguments, **keys)
        ours = [fault for fault in proxy.faults if not fault.startswith("OF THE SERVER")]
        good &= code in case.exit_codes and bool(proxy.checked) and not ours
        print(f"{name}: exit {code}, checked {dict(proxy.checked)}, {len(ours)} kinds of violations")
        print("".join(f"     {count} x {fault}\n" for fault, count in proxy.faults.most_common(20)), end="")
        if code not in case.exit_codes:
            print("".join(f"     | {line}\n" for line in said.splitlines()[-12:]))
    await runner.cleanup()
    return good


def cases_of(model: str, provider: str) -> dict[str, Case]:
    def case(more: str = "", **changes: Any) -> Case:
        return Case(server="", model=model, provider=f"{provider}\n{more}", **changes)

    return {
        "chat": case(),
        "chat, tool": case("structured_output = false"),
        "chat, xml": case(output='mode = "xml"', exit_codes=(0, 1)),
        "responses": case('api = "responses"'),
        "batch": Case(server="", model=BATCHED, provider="", route="batch"),
        "responses, tool": case('api = "responses"\nstructured_output = false'),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("description", type=Path)
    parser.add_argument("documents", type=int, nargs="?", default=10)
    parser.add_argument("--upstream", choices=["simulator", "llama"], default="simulator")
    parser.add_argument("--model", default="")
    chosen = parser.parse_args()
    description = Description(chosen.description)
    own = 'free = true\ncontext_window = 100_000\napi_key_env = "GATEWAY_KEY"'
    with llama_server() if chosen.upstream == "llama" else simulator("--speed", "20") as upstream:
        model = chosen.model or ("tiny" if chosen.upstream == "llama" else "gpt-5.5")
        proxy = Proxy(description, upstream)
        absent = "batch" if chosen.upstream == "llama" else "responses"  # what the server behind the proxy lacks
        cases = {name: case for name, case in cases_of(model, own).items() if not name.startswith(absent)}
        sys.exit(not asyncio.run(judge(proxy, cases, chosen.documents)))


if __name__ == "__main__":
    main()
