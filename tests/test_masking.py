"""Which values of the environment are secrets, and how they are found in what others say."""

import pytest

from batchrun.masking import masked, without_secrets
from batchrun.reply import Cause, Failure, Reply

SECRET = "do-not-tell-3141592653"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ANTHROPIC_API_KEY", SECRET, SECRET),
        ("ANTHROPIC_AUTH_TOKEN", SECRET, f"Bearer {SECRET}"),
        ("ANTHROPIC_AUTH_TOKEN", f" {SECRET}\n", SECRET),
        ("ANTHROPIC_CUSTOM_HEADERS", f"a: b\nx-key: {SECRET}", SECRET),
        ("ANTHROPIC_CUSTOM_HEADERS", f"authorization: Basic {SECRET}", SECRET),
        ("ANTHROPIC_BASE_URL", f"https://me:{SECRET}@gateway.example/v1", SECRET),
        ("ANTHROPIC_BASE_URL", f"https://{SECRET}@gateway.example", SECRET),
        ("HTTPS_PROXY", f"http://me:{SECRET}%40@proxy.example:8080", f"{SECRET}@"),
        ("https_proxy", f"me:{SECRET}@proxy.example:8080", SECRET),
        ("ALL_PROXY", "http://me:password@proxy.example", "bWU6cGFzc3dvcmQ="),
        ("HOME", "/home", "sk-ant-api03-of-somebody-else"),
    ],
)
def test_a_secret_is_masked(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    assert masked(f"before {said} after", headers=True).endswith("*** after")
    assert SECRET not in masked(f"before {said} after", headers=True)


@pytest.mark.parametrize("length", range(8, len(SECRET)))
def test_a_secret_that_was_cut_is_masked(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    assert masked(f"invalid key: {SECRET[:length]}") == "invalid key: ***"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("ANTHROPIC_CUSTOM_HEADERS", "x-region: eu\nx-retries: 1", "1 document in neutral europe"),
        ("ANTHROPIC_BASE_URL", "https://gateway.example/contracts", "gateway.example/contracts"),
        ("HTTPS_PROXY", "http://[broken", "http://[broken"),
        ("ANTHROPIC_API_KEY", "", "nothing"),
    ],
)
def test_words_stay(monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str) -> None:
    monkeypatch.setenv(name, value)
    assert masked(text, headers=True) == text


def test_a_header_may_be_a_word_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-job: contracts")
    assert masked("batchrun submit jobs/contracts.toml") == "batchrun submit jobs/contracts.toml"
    assert masked("no such x-job: contracts", headers=True) == "no such x-job: ***"


def test_what_the_other_side_says_is_masked_and_the_answer_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    failure = Failure(
        cause=Cause.STATUS, status=401, message=SECRET, error_type=SECRET, error_code=SECRET, api_request_id=SECRET
    )
    assert SECRET not in repr(without_secrets(failure))
    reply = Reply(f"text {SECRET}", SECRET, None, SECRET, SECRET, f'"{SECRET}"')
    told = without_secrets(reply)
    assert (told.stop_reason, told.model, told.api_request_id) == ("***", "***", "***")
    assert (told.text, told.raw) == (reply.text, '"***"')
    quotes = Reply(f"text {SECRET}", "end_turn", None, "claude", None, f'"{SECRET}"')
    assert without_secrets(quotes) == quotes
