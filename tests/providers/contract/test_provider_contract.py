"""One contract for every type of provider: the same thing said on eight wires means the same here.

What a server can say stands in `contract_wires`, the answers that no wire has to itself in `contract_server`. All cases
of a wire are sent at once, to one server.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from contract_run import Outcomes, environment_of, factory_at, is_never_sent, outcomes_of
from contract_server import ELSEWHERE
from contract_wires import ANSWER, UNSENT, WIRES, Wire

from batchrun.errors import EnvironmentProblem
from batchrun.execution.retry_policy import FailureKind, kind_of
from batchrun.masking import without_secrets
from batchrun.reply import Cause, Failure, ReportedLimit, Usage


@dataclass(frozen=True, slots=True)
class Expected:
    """What a failure has to be."""

    cause: Cause
    kinds: frozenset[FailureKind]
    maybe_billed: bool = False
    retry_after_s: float | None = None


def status(*kinds: FailureKind, maybe_billed: bool = False, retry_after_s: float | None = None) -> Expected:
    return Expected(Cause.STATUS, frozenset(kinds), maybe_billed, retry_after_s)


def silent(cause: Cause) -> Expected:
    return Expected(cause, frozenset({FailureKind.SILENT}), maybe_billed=True)


REFUSED = {
    "bad key": status(FailureKind.BAD_KEY, FailureKind.FORBIDDEN),  # AWS says 403 of a key that is none
    "forbidden": status(FailureKind.FORBIDDEN),
    "unknown model": status(FailureKind.NOT_FOUND),
    "bad request": status(FailureKind.REJECTED),
    "too long": status(FailureKind.TOO_LARGE),
    "too large": status(FailureKind.TOO_LARGE),
    "later": status(FailureKind.LATER, retry_after_s=7.0),
    "server error": status(FailureKind.SILENT),
    "unavailable": status(FailureKind.SILENT),
    "overloaded": status(FailureKind.SILENT),
    "spent": status(FailureKind.MONEY),
}
"""The refusals that a wire has words of its own for. Not every wire has words for all."""
BROKEN = {
    "page": status(FailureKind.SILENT, maybe_billed=True),
    "redirect": status(FailureKind.REDIRECTED),
    "hang": silent(Cause.TIMEOUT),
    "cut": silent(Cause.DROPPED),
    "cut inside": silent(Cause.DROPPED),
    "bomb": silent(Cause.MALFORMED),
    "flood": silent(Cause.MALFORMED),
    "page with 200": silent(Cause.MALFORMED),
    "no JSON": silent(Cause.MALFORMED),
    "no message": silent(Cause.MALFORMED),
    "no object": silent(Cause.MALFORMED),
    "empty": silent(Cause.MALFORMED),
    "error with 200": silent(Cause.MALFORMED),
    "nobody there": Expected(Cause.UNREACHABLE, frozenset({FailureKind.UNREACHABLE})),
}
ENDS = {"end": "end_turn", "max tokens": "max_tokens", "refusal": "refusal", "tool": "tool_use"}
OUTCOMES: dict[str, Outcomes] = {}


@pytest.fixture(scope="module", params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


@pytest.fixture(scope="module")
def outcomes(wire: Wire) -> Iterator[Outcomes]:
    return outcomes_of(wire)


def check(outcomes: Outcomes, case: str, expected: Expected) -> None:
    failure = outcomes.failure(case)

    assert (failure.cause, failure.maybe_billed) == (expected.cause, expected.maybe_billed), failure
    assert kind_of(failure) in expected.kinds, failure
    assert failure.retry_after_s == expected.retry_after_s or expected.retry_after_s is None


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_means_the_same_on_every_wire(wire: Wire, outcomes: Outcomes, case: str) -> None:
    if case not in wire.refusals:
        assert case in {"overloaded", "spent"}
        return
    expected = REFUSED[case]
    if "retry-after" not in wire.refusals[case].headers:
        expected = Expected(expected.cause, expected.kinds, expected.maybe_billed)

    check(outcomes, case, expected)
    assert outcomes.failure(case).status == wire.refusals[case].status
    words = json.dumps(wire.refusals[case].body)
    assert outcomes.failure(case).message.split(" ***")[0] in words, "the server's own words are told"


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_answer_means_the_same_on_every_wire(outcomes: Outcomes, case: str) -> None:
    check(outcomes, case, BROKEN[case])


@pytest.mark.parametrize("case", ENDS)
def test_every_end_is_told_in_the_words_of_the_messages_api(outcomes: Outcomes, case: str) -> None:
    reply = outcomes.replies[case]

    assert reply.stop_reason == ENDS[case]
    assert json.loads(reply.raw)["stop_reason"] == ENDS[case], "the reply that is kept is a message, too"
    assert reply.text == ("" if case in {"refusal", "tool"} else ANSWER)
    assert (json.loads(reply.tool_input) if reply.tool_input else None) == (
        json.loads(ANSWER) if case == "tool" else None
    )
    assert (reply.refusal or "").endswith("No.") is (case == "refusal")


def test_usage_tells_the_tokens_of_the_cache_and_of_thinking(outcomes: Outcomes) -> None:
    usage = Usage(input_tokens=40, cache_write_5m_tokens=10, cache_read_tokens=60, output_tokens=50, thinking_tokens=20)

    assert [outcomes.replies[case].usage for case in ENDS] == [usage] * len(ENDS)


def test_an_answer_without_counters_has_no_usage(outcomes: Outcomes) -> None:
    assert (outcomes.replies["no usage"].text, outcomes.replies["no usage"].usage) == (ANSWER, None)


def test_a_long_answer_is_read_however_it_comes(outcomes: Outcomes) -> None:
    reply = outcomes.replies["long"]

    assert (reply.text, reply.stop_reason, reply.usage) == (ANSWER, "end_turn", outcomes.replies["end"].usage)


@pytest.mark.parametrize("case", ["long, cut", "long, error"])
def test_a_long_answer_that_breaks_off_may_be_billed(outcomes: Outcomes, case: str) -> None:
    failure = outcomes.failure(case)

    assert failure.maybe_billed
    assert kind_of(failure) is FailureKind.SILENT


def test_limits_are_read_where_they_are_told(wire: Wire, outcomes: Outcomes) -> None:
    limits = outcomes.replies["limits"].limits

    assert (limits.requests if limits else None) == (ReportedLimit(500, 499) if wire.limits else None)
    assert outcomes.replies["end"].limits is None


def test_a_call_that_is_canceled_at_once_was_never_sent(outcomes: Outcomes) -> None:
    assert is_never_sent(outcomes.errors["canceled at once"])
    assert "canceled at once" not in outcomes.seen


def test_a_call_that_is_canceled_in_flight_may_be_billed(outcomes: Outcomes) -> None:
    error = outcomes.errors["canceled in flight"]

    assert isinstance(error, asyncio.CancelledError)
    assert not is_never_sent(error)


def test_everything_is_sent_once_and_a_redirect_is_not_followed(outcomes: Outcomes) -> None:
    assert {case: len(seen) for case, seen in outcomes.seen.items() if len(seen) != 1} == {}
    assert ELSEWHERE not in outcomes.seen


def test_requests_prove_themselves_and_name_the_model(wire: Wire, outcomes: Outcomes) -> None:
    (seen,) = outcomes.seen["end"]
    body = json.loads(seen.body)

    assert wire.proof[1] in seen.headers[wire.proof[0]]
    assert seen.path == wire.suffix + wire.path
    assert body.get("model") == wire.says_model
    assert seen.headers["x-team"] == "contracts"
    assert outcomes.replies["end"].api_request_id == "req_1"


def test_no_credential_is_ever_shown(wire: Wire, outcomes: Outcomes) -> None:
    shown = [
        *outcomes.shown,
        *map(repr, outcomes.replies.values()),
        *(f"{error} {error!r} {getattr(error, 'failure', '')!r}" for error in outcomes.errors.values()),
    ]

    assert [text for text in shown for secret in wire.secrets if secret in text] == []
    assert [line for line in outcomes.logged for secret in wire.secrets if secret in line] == []


def test_another_variable_may_have_the_key(wire: Wire) -> None:
    if wire.key_variable is None:
        return
    value = "gateway-key-0123456789abcdef"
    with environment_of(wire) as patch:
        patch.delenv(wire.key_variable)
        patch.setenv("CONTRACT_KEY", value)
        factory = factory_at(wire, "http://127.0.0.1:1", api_key_env="CONTRACT_KEY")
        factory.check()

        assert value not in repr(factory)
        assert value not in without_secrets(Failure(cause=Cause.STATUS, message=f"no such key: {value}")).message


def test_the_usual_key_never_goes_where_another_one_is_named(wire: Wire) -> None:
    if wire.key_variable is None:
        return
    with environment_of(wire), pytest.raises(EnvironmentProblem, match="CONTRACT_KEY"):
        factory_at(wire, "http://127.0.0.1:1", api_key_env="CONTRACT_KEY").check()


def test_the_key_of_openai_goes_to_no_address_of_a_file(outcomes: Outcomes) -> None:
    assert [one for seen in outcomes.seen.values() for one in seen if UNSENT in str(one)] == []
