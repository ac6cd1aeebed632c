import hashlib
import os
import socket
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.errors import EnvironmentProblem, ExitCode
from batchrun.estimation import tokenizer
from batchrun.estimation.tokenizer import count_tokens, truncate


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # Counts of tiktoken's own cl100k_base.
        ("", 0),
        ("hello world", 2),
        ("tiktoken is great!", 6),
        ("antidisestablishmentarianism", 6),
        ("2 + 2 = 4", 7),
        ("お誕生日おめでとう", 9),
        ("<|endoftext|>", 7),
    ],
)
def test_counts_as_cl100k_base(text, tokens):
    assert count_tokens(text) == tokens


def test_special_tokens_in_a_document_are_ordinary_text():
    assert count_tokens("before <|endoftext|> after <|fim_prefix|>") > 10


@pytest.mark.slow
def test_works_without_network_environment_or_cache(tmp_path):
    """In a process of its own, so that nothing was loaded before; it may neither connect nor write a file."""
    program = """
import socket
def refuse(*_): raise AssertionError("the tokenizer opened a connection")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from batchrun.estimation.tokenizer import count_tokens
print(count_tokens("hello world"))
"""
    environment = {name: value for name, value in os.environ.items() if name not in {"TIKTOKEN_CACHE_DIR", "TMPDIR"}}
    environment |= {"TMPDIR": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:1", "PYTHONPATH": str(Path.cwd())}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "2\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_no_connection_in_this_process_either(monkeypatch):
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the tokenizer opened a connection"))
    tokenizer._encoding.cache_clear()
    assert count_tokens("hello world") == 2
    assert "TIKTOKEN_CACHE_DIR" not in os.environ


def test_the_vocabulary_is_the_published_file_and_its_licence_travels_with_it():
    folder = files("batchrun.vocabulary")
    table = (folder / "cl100k_base.tiktoken").read_bytes()
    assert hashlib.sha256(table).hexdigest() == "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
    assert "Copyright (c) 2022 OpenAI, Shantanu Jain" in (folder / "NOTICE").read_text()


def test_a_damaged_vocabulary_is_a_problem_of_the_environment(monkeypatch, tmp_path):
    whole = (files("batchrun.vocabulary") / "cl100k_base.tiktoken").read_bytes()
    (tmp_path / "cl100k_base.tiktoken").write_bytes(whole[:-1] + b"9")
    monkeypatch.setattr(tokenizer, "files", lambda _: tmp_path)
    with pytest.raises(EnvironmentProblem, match="damaged") as caught:
        tokenizer._read_vocabulary()
    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    assert "install" in caught.value.hint


def test_a_missing_vocabulary_is_a_problem_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(tokenizer, "files", lambda _: tmp_path)
    with pytest.raises(EnvironmentProblem, match="cannot be read"):
        tokenizer._read_vocabulary()


@pytest.mark.slow
def test_tiktoken_is_imported_late():
    program = "import batchrun.estimation.tokenizer, sys; print('tiktoken' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], cwd=Path.cwd(), capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_lone_surrogates_are_counted():
    assert count_tokens("a\ud800b") >= 3
    assert truncate("word \udfff " * 50, 10)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["a", " ", "\n", "-", "あ", "\t"])
def test_long_runs_take_no_long_time(unit):
    begin = time.process_time()
    assert count_tokens(unit * 200_000) > 0
    assert time.process_time() - begin < 5


@pytest.mark.slow
@given(st.text(), st.integers(0, 40))
def test_a_truncated_text_is_a_prefix_within_the_limit(text, tokens):
    cut = truncate(text, tokens)
    assert text.startswith(cut)
    assert count_tokens(cut) <= tokens


@pytest.mark.slow
@given(st.text(alphabet="aé 日🙂\n'1", min_size=1), st.integers(1, 20))
def test_truncation_is_no_shorter_than_torn_characters_force(text, tokens):
    cut = truncate(text, tokens)
    if count_tokens(text) <= tokens:
        assert cut == text
    else:
        assert count_tokens(cut) >= tokens - 3
