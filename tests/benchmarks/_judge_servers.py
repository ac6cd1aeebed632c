"""Starts servers of other people on loopback, for the judge's scripts: llama.cpp's two servers, LiteLLM, our simulator.

None of them is a dependency. Where they are is said by the environment:

    JUDGE_LLAMA_SERVER   the program llama-server of llama.cpp
    JUDGE_LLAMA_PYTHON   a Python that has llama_cpp.server (pip install 'llama-cpp-python[server]')
    JUDGE_LITELLM        the program litellm (pip install 'litellm[proxy]')
    JUDGE_GGUF_PYTHON    a Python that has gguf, which writes the model
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_S = 90.0
CONTEXT = 8_192
LITELLM_KEY = "sk-judge-master-key"
LITELLM = """\
model_list:
  - model_name: mock
    litellm_params: {{model: openai/gpt-4o-mini, api_key: none, mock_response: '{{"title": "A letter", "pages": 3}}'}}
  - model_name: mock-429
    litellm_params: {{model: openai/gpt-4o-mini, api_key: none, mock_response: "litellm.RateLimitError"}}
  - model_name: mock-context
    litellm_params: {{model: openai/gpt-4o-mini, api_key: none, mock_response: "litellm.ContextWindowExceededError"}}
  - model_name: mock-500
    litellm_params: {{model: openai/gpt-4o-mini, api_key: none, mock_response: "litellm.InternalServerError"}}
  - model_name: dead
    litellm_params: {{model: openai/gpt-4o-mini, api_key: none, api_base: "http://127.0.0.1:1/v1"}}
  - model_name: spent
    litellm_params: {{model: azure/gpt-4o-mini, api_key: none, api_base: "http://127.0.0.1:1", mock_response: "spent"}}
  - model_name: llama
    litellm_params: {{model: openai/tiny, api_key: none, api_base: "{llama}/v1"}}
  - model_name: claude-haiku-5-5
    litellm_params:
      model: anthropic/claude-haiku-5-5
      api_key: simulated-key
      api_base: "{simulator}"
      extra_headers: {{authorization: "Bearer simulated-key"}}
general_settings: {{master_key: {key}}}
router_settings:
  num_retries: 0
  disable_cooldowns: true
  provider_budget_config:
    azure: {{budget_limit: 0.0000001, time_period: 1d}}
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wanted(variable: str, program: str | None = None) -> str:
    """Where a program is. Ends the script if nobody says so."""
    found = os.environ.get(variable) or (program and shutil.which(program))
    if not found:
        sys.exit(f"{variable} is not set: {__doc__}")
    return found


@contextmanager
def serving(command: list[str], address: str, ready: str, **environment: str) -> Iterator[str]:
    """Run a server for as long as the block lasts; yields its address once it answers."""
    with running(command, address + ready, **environment):
        yield address


@contextmanager
def running(command: list[str], ready: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for as long as the block lasts; yields its process once the address `ready` answers."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NO_PROXY": "127.0.0.1", **environment},
            cwd=tempfile.gettempdir(),
        )
        try:
            _wait(process, ready)
            yield process
        except TimeoutError:
            said.seek(0)
            sys.exit(f"{command[0]} does not answer:\n{said.read()[-3_000:]}")
        finally:
            process.terminate()
            process.wait(20)


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError


@contextmanager
def model_file() -> Iterator[str]:
    """Write the tiny model."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "tiny.gguf")
        subprocess.run([wanted("JUDGE_GGUF_PYTHON"), str(HERE / "_tiny_llama.py"), path], check=True)
        yield path


@contextmanager
def llama_server() -> Iterator[str]:
    """Start llama.cpp's own server."""
    port = free_port()
    with model_file() as model:
        command = [wanted("JUDGE_LLAMA_SERVER", "llama-server"), "-m", model, "--alias", "tiny", "--jinja"]
        command += ["-c", str(CONTEXT), "-np", "2", "--host", "127.0.0.1", "--port", str(port)]
        with serving(command, f"http://127.0.0.1:{port}", "/health") as address:
            yield address


@contextmanager
def llama_cpp_python() -> Iterator[str]:
    """Start the server of llama-cpp-python."""
    port = free_port()
    with model_file() as model:
        command = [wanted("JUDGE_LLAMA_PYTHON"), "-m", "llama_cpp.server", "--model", model, "--model_alias", "tiny"]
        command += ["--n_ctx", str(CONTEXT), "--host", "127.0.0.1", "--port", str(port)]
        with serving(command, f"http://127.0.0.1:{port}", "/v1/models") as address:
            yield address


@contextmanager
def simulator(*options: str) -> Iterator[str]:
    """Start our own simulator."""
    port = free_port()
    command = [sys.executable, "-m", "batchrun", "simulate", "serve", "--port", str(port), *options]
    root = str(HERE.parent.parent)
    with serving(command, f"http://127.0.0.1:{port}", "/v1/models", PYTHONPATH=root) as address:
        yield address


@contextmanager
def litellm(*, llama: str, simulator: str) -> Iterator[str]:
    """Start LiteLLM's proxy in front of the other servers."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(LITELLM.format(llama=llama, simulator=simulator, key=LITELLM_KEY))
        command = [wanted("JUDGE_LITELLM", "litellm"), "--config", str(config), "--port", str(port)]
        offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
        with serving(
            [*command, "--host", "127.0.0.1"], f"http://127.0.0.1:{port}", "/health/liveliness", **offline
        ) as address:
            yield address


@contextmanager
def all_servers() -> Iterator[dict[str, str]]:
    """Start every server; yields the addresses by name."""
    with ExitStack() as stack:
        llama = stack.enter_context(llama_server())
        simulated = stack.enter_context(simulator("--speed", "20"))
        yield {
            "llama_server": llama,
            "llama_cpp_python": stack.enter_context(llama_cpp_python()),
            "simulator": simulated,
            "litellm": stack.enter_context(litellm(llama=llama, simulator=simulated)),
        }
