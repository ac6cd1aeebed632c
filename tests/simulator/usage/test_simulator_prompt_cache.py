"""The simulated prompt cache: what is billed when, with the time given by hand."""

import asyncio
import hashlib
import json
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from hypothesis import given
from hypothesis import strategies as st

from batchrun.simulator.api_error import ApiRefusal
from batchrun.simulator.batches.life import ServiceTerms
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import INSTANT, Latency
from batchrun.simulator.requests.parameters import check_message
from batchrun.simulator.simulator import Delivery, Simulator, Unanswered
from batchrun.simulator.usage.prompt_cache import Breakpoint, PromptUsage, SizedPrompt
from batchrun.simulator.usage.rate_limits import Limits

LONG = "The lessee pays the rent on the first day of every month. " * 60
FIVE_MINUTES, HOUR = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
SLOW = Latency()


def block(text: str, mark: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "text", "text": text} | ({"cache_control": mark} if mark else {})


def asked(document: str = "A lease.", *, opening: str = LONG, mark: Any = FIVE_MINUTES, **more: Any) -> dict[str, Any]:
    content = [block(opening, mark), block(document)]
    return {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": content}], **more}


class Clock:
    """A simulator asked at times given by hand."""

    def __init__(self, **options: Any) -> None:
        self.simulator = Simulator(PROFILES["calm"], **{"latency": INSTANT, **options})

    def decide(self, params: dict[str, Any], at: float) -> Any:
        raw = json.dumps(params).encode()
        return self.simulator.decide(raw, hashlib.sha256(raw).digest(), now=at)

    def used(self, params: dict[str, Any], at: float) -> PromptUsage:
        decision = self.decide(params, at)
        assert isinstance(decision, Delivery)
        return decision.used

    def kind(self, params: dict[str, Any], at: float) -> str:
        used = self.used(params, at)
        kinds = {"read": used.cache_read_tokens, "5m": used.cache_write_5m_tokens, "1h": used.cache_write_1h_tokens}
        return "+".join(kind for kind, tokens in kinds.items() if tokens) or "plain"


def test_the_first_writes_and_the_next_reads():
    clock = Clock()
    first, second = clock.used(asked("One lease."), 0), clock.used(asked("Two leases, one of them long."), 1)
    assert first.cache_write_5m_tokens > 512
    assert second.cache_read_tokens == first.cache_write_5m_tokens
    assert (first.cache_read_tokens, second.cache_write_tokens) == (0, 0)
    plain = Clock().used(asked("One lease.", mark=None), 0)
    assert plain == PromptUsage(input_tokens=first.input_tokens + first.cache_write_5m_tokens)


@pytest.mark.parametrize(("mark", "kept_s", "kind"), [(FIVE_MINUTES, 300, "5m"), (HOUR, 3600, "1h")])
def test_it_is_kept_for_its_time_from_the_request_that_used_it_last(mark, kept_s, kind):
    clock = Clock()
    assert clock.kind(asked("1", mark=mark), 0) == kind
    assert clock.kind(asked("2", mark=mark), kept_s - 1) == "read"
    assert clock.kind(asked("3", mark=mark), 2 * kept_s - 2) == "read"
    assert clock.kind(asked("4", mark=mark), 3 * kept_s - 2) == kind


def test_its_time_is_the_simulated_one():
    clock = Clock(speed=10)
    assert [clock.kind(asked(str(at)), at) for at in (0, 29, 58, 89)] == ["5m", "read", "read", "5m"]


def test_what_is_below_the_minimum_of_the_model_is_plain_input():
    assert Clock().kind(asked(opening="Short."), 0) == "plain"
    assert Clock().kind(asked(model="claude-haiku-4-5"), 0) == "plain"  # which caches 4,096 or more
    assert Clock().kind(asked(model="claude-haiku-4-5", opening=LONG * 8), 0) == "5m"


def test_five_at_once_all_write_because_no_answer_has_begun():
    clock = Clock(latency=SLOW)
    decisions = [clock.decide(asked(str(number)), 0.01 * number) for number in range(5)]
    assert all(decision.used.cache_write_5m_tokens for decision in decisions)
    begun = min(0.01 * number + decision.first_token_s for number, decision in enumerate(decisions))
    assert clock.kind(asked("just before"), begun - 0.001) == "5m"
    assert clock.kind(asked("just after"), begun) == "read"


def test_another_beginning_is_another_entry():
    clock = Clock()
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    others = [
        asked(opening=LONG + "!"),
        asked(model="claude-sonnet-5-5"),
        asked(system="Be brief."),
        asked(output_config={"format": {"type": "json_schema", "schema": schema}}),
        asked(output_config={"effort": "low"}),
    ]
    assert [clock.kind(one, 0) for one in [asked(), *others]] == ["5m"] * 6
    assert [clock.kind(one, 1) for one in [asked("other", max_tokens=51), *others]] == ["read"] * 6


def test_a_marked_system_prompt_holds_the_schema():
    clock = Clock()
    system = {"system": [block(LONG, HOUR)], "messages": [{"role": "user", "content": "A lease."}]}
    fields = {f"f{number}": {"type": "string"} for number in range(20)}
    schema = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    structured = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    without, held = clock.used({**asked(), **system}, 0), clock.used({**asked(), **system, **structured}, 0)
    assert held.cache_write_1h_tokens > without.cache_write_1h_tokens + 100
    assert held.input_tokens == without.input_tokens
    other = {"messages": [{"role": "user", "content": "Another lease."}]}
    assert clock.used({**asked(), **system, **structured, **other}, 1).cache_read_tokens == held.cache_write_1h_tokens


def test_a_mark_at_the_top_stands_on_the_last_block():
    params = {**asked("A lease.", mark=None), "cache_control": FIVE_MINUTES}
    clock = Clock()
    assert (clock.kind(params, 0), clock.kind(params, 1)) == ("5m", "read")
    assert clock.kind({**asked("Another.", mark=None), "cache_control": FIVE_MINUTES}, 2) == "5m"


def test_two_marks_are_two_entries_and_the_longer_is_read():
    def both(document: str) -> dict[str, Any]:
        content = [block(document * 200, FIVE_MINUTES), block("What is it?")]
        return {**asked(system=[block(LONG, HOUR)]), "messages": [{"role": "user", "content": content}]}

    clock = Clock()
    assert clock.kind(both("One lease. "), 0) == "5m+1h"
    assert clock.kind(both("Two leases. "), 1) == "read+5m"
    assert clock.kind(both("One lease. "), 2) == "read"
    assert clock.used(both("One lease. "), 3).cache_read_tokens > clock.used(both("Three. "), 3).cache_read_tokens


def test_what_is_read_does_not_count_against_the_limit_of_input():
    clock = Clock(limits=Limits(100, 1_600, 10_000))
    assert [clock.kind(asked("1"), 0), clock.kind(asked("2"), 0), clock.kind(asked("3"), 0)] == ["5m", "read", "read"]
    assert isinstance(clock.decide(asked("4", mark=None), 0), Unanswered)


def test_a_request_that_is_turned_away_writes_nothing():
    clock = Clock(script=["overloaded"])
    assert isinstance(clock.decide(asked("1"), 0), Unanswered)
    assert clock.kind(asked("1"), 1) == "5m"


sizes = st.lists(st.integers(1, 5_000), min_size=1, max_size=4).map(sorted)


@given(sizes=sizes, rest=st.integers(0, 5_000), ttls=st.lists(st.sampled_from(["5m", "1h"]), min_size=4, max_size=4))
def test_every_token_is_billed_once(sizes, rest, ttls):
    points = tuple(Breakpoint(b"%d" % number, size, ttls[number]) for number, size in enumerate(sizes))
    prompt = SizedPrompt(sizes[-1] + rest, points)
    for read in (None, *points):
        used = prompt.used(read)
        assert used.input_tokens == rest
        assert used.counted + used.cache_read_tokens == prompt.tokens


# --- what is refused

REFUSED = {
    "ttl": ({"type": "ephemeral", "ttl": "2h"}, "messages.0.content.0.cache_control.ephemeral.ttl: Input should be"),
    "type": ({"type": "permanent"}, "messages.0.content.0.cache_control: Input tag 'permanent'"),
    "no type": ({"ttl": "5m"}, "messages.0.content.0.cache_control: Input tag 'None'"),
    "extra": ({"type": "ephemeral", "scope": "x"}, "cache_control.ephemeral.scope: Extra inputs are not permitted"),
    "no object": ("5m", "messages.0.content.0.cache_control: Input should be a valid dictionary"),
}


def problem(params: dict[str, Any]) -> str | None:
    try:
        check_message(params)
    except ApiRefusal as refusal:
        return refusal.error.message
    return None


@pytest.mark.parametrize(("mark", "words"), REFUSED.values(), ids=REFUSED)
def test_marks_that_are_wrong(mark, words):
    assert words in str(problem(asked(mark=mark)))
    assert words.partition("cache_control")[2][:10] in str(problem({**asked(), "cache_control": mark}))
    assert "system.0.cache_control" in str(problem(asked(system=[block("x", None) | {"cache_control": mark}])))


def test_marks_that_are_right():
    assert problem(asked(mark={"type": "ephemeral", "ttl": "5m"}, system=[block("x", HOUR)])) is None
    assert problem({**asked(mark=None), "cache_control": HOUR}) is None
    assert problem(asked(mark=None) | {"cache_control": None}) is None


def test_four_marks_at_most():
    def marked(count: int) -> dict[str, Any]:
        return {**asked(), "messages": [{"role": "user", "content": [block("x", HOUR)] * count}]}

    assert problem(marked(4)) is None
    assert problem(marked(5)) == "A maximum of 4 blocks with cache_control may be provided. Found 5."
    assert problem({**marked(4), "cache_control": HOUR}) is not None


def test_the_longer_time_comes_first():
    assert problem(asked(mark=HOUR, system=[block("x", HOUR)])) is None
    words = "messages.0.content.0.cache_control.ttl: a ttl='1h' cache_control block must not come after"
    assert words in str(problem(asked(mark=HOUR, system=[block("x", FIVE_MINUTES)])))


@pytest.mark.parametrize("text", [" ", "\n"])
def test_a_block_without_a_word(text):
    assert problem(asked(text)) == "messages: text content blocks must contain non-whitespace text"


# --- over HTTP


def client_of(server: SimulatorServer) -> AsyncAnthropic:
    return AsyncAnthropic(api_key="x", base_url=server.base_url, max_retries=0, timeout=5)


def test_the_answer_is_the_same_with_marks_and_the_books_keep_the_cache_apart():
    async def scenario() -> None:
        simulator = Simulator(PROFILES["calm"], latency=INSTANT)
        async with SimulatorServer(simulator) as server, client_of(server) as client:
            whole = {**asked(), "messages": [{"role": "user", "content": LONG + "A lease."}]}
            plain = await client.messages.create(**whole)
            wrote = await client.messages.create(**asked())
            async with client.messages.stream(**asked()) as stream:
                read = await stream.get_final_message()
            texts = [[one.text for one in each.content if one.type == "text"] for each in (plain, wrote, read)]
            assert texts[0] == texts[1] == texts[2]
            assert wrote.usage.cache_creation is not None
            written = wrote.usage.cache_creation.ephemeral_5m_input_tokens
            assert wrote.usage.cache_creation_input_tokens == written
            assert read.usage.cache_read_input_tokens == written
            assert read.usage.input_tokens == wrote.usage.input_tokens < 20
            books = server.books.summary()
            assert (books["cache_read_tokens"], books["cache_write_5m_tokens"]) == (written, written)
            assert books["cache_write_1h_tokens"] == 0
            assert books["model_usage"]["claude-haiku-5-5"]["cache_read_tokens"] == written
            entries = server.books.listed()["entries"]
            assert [entry["cache_read_tokens"] for entry in entries] == [0, 0, written]

    asyncio.run(scenario())


def test_in_a_batch_some_requests_read_and_the_first_never_does():
    async def scenario(**hits: float) -> list[dict[str, Any]]:
        terms = ServiceTerms(median_s=0.01, per_request_s=0, **hits)
        async with (
            SimulatorServer(Simulator(PROFILES["calm"], latency=INSTANT, terms=terms)) as server,
            client_of(server) as client,
        ):
            requests = [{"custom_id": f"c{n}", "params": asked(f"{n}", mark=HOUR)} for n in range(200)]
            batch = await client.messages.batches.create(requests=requests)  # type: ignore[arg-type]
            while (await client.messages.batches.retrieve(batch.id)).processing_status != "ended":  # noqa: ASYNC110 - over loopback
                await asyncio.sleep(0)
            results = [one async for one in await client.messages.batches.results(batch.id)]
            bills = server.books.listed()["batch_entries"]
            told = sum(one.result.message.usage.cache_read_input_tokens for one in results)
            assert told == sum(bill["cache_read_tokens"] for bill in bills)
            assert told == server.books.summary()["batch_cache_read_tokens"]
            return bills

    bills = asyncio.run(scenario())
    assert all((bill["cache_read_tokens"] == 0) != (bill["cache_write_1h_tokens"] == 0) for bill in bills)
    assert 0.5 < sum(bill["cache_read_tokens"] > 0 for bill in bills) / 200 < 0.95
    always = asyncio.run(scenario(least_hits=1.0, most_hits=1.0))
    assert sum(bill["cache_write_1h_tokens"] > 0 for bill in always) == 1
    never = asyncio.run(scenario(least_hits=0.0, most_hits=0.0))
    assert not any(bill["cache_read_tokens"] for bill in never)
