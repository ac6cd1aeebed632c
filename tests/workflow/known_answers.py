"""A stand-in for a model: it reads a request as a model would, answers from known contracts, and damages its answers.

The stand-in knows nothing of batchrun but the words on the wire: fields come from the schema in the request, the place
in a long list from the last message, and whether a reply is mended from what the conversation says.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from known_contracts import KnownContract, said_day, said_number
from scripted_batches_memory import BatchApi, Remote
from scripted_provider import answer

from batchrun.providers import Provider
from batchrun.reply import Reply, Usage
from batchrun.request import Request
from batchrun.simulator.requests.token_count import count_prompt, count_text

SCHEMA_IN_WORDS = "The answer as JSON Schema: "
GO_ON = re.compile(r"Go on with entry ([\d,]+)")
PAGE_SIZE = re.compile(r"At most ([\d,]+) entries in one answer")


@dataclass(frozen=True)
class Asked:
    """What a request asks, read off the wire."""

    doc_id: str
    mode: str
    schema: Mapping[str, Any]
    is_repair: bool
    first_entry: int
    max_tokens: int
    input_tokens: int

    @property
    def names(self) -> list[str]:
        """Everything that is asked for, in order."""
        return list(self.schema["properties"])

    @property
    def page_size(self) -> int:
        """The most entries of one answer."""
        found = PAGE_SIZE.search(json.dumps(self.schema))
        return int(found[1].replace(",", "")) if found else 10_000


def asked_in(body: Mapping[str, Any]) -> Asked:
    """Read a request."""
    first, last = (text_of(body["messages"][number]["content"]) for number in (0, -1))
    mode, schema = _schema(body, first)
    going_on = GO_ON.search(last)
    return Asked(
        doc_id=first.split("\n", 1)[0],
        mode=mode,
        schema=schema,
        is_repair="cannot be used" in last,
        first_entry=int(going_on[1].replace(",", "")) if going_on else 1,
        max_tokens=body["max_tokens"],
        input_tokens=count_prompt(body, "old"),
    )


def text_of(content: Any) -> str:
    """The words of a message, results of tools included."""
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] if block["type"] == "text" else block["content"] for block in content)


def _schema(body: Mapping[str, Any], first: str) -> tuple[str, Mapping[str, Any]]:
    if "output_config" in body:
        return "json_schema", body["output_config"]["format"]["schema"]
    if "tools" in body:
        return "tool", body["tools"][0]["input_schema"]
    words = f"{text_of(body.get('system', ''))}\n{first}"
    if SCHEMA_IN_WORDS in words:
        return "xml", json.loads(words.rpartition(SCHEMA_IN_WORDS)[2].split("\n", 1)[0])
    return "text", {"properties": {"law": {}}}


QuoteMaker = Callable[[KnownContract, str], str]
"""Makes the quote for a field of a contract."""


def as_stated(contract: KnownContract, name: str) -> str:
    """The sentence as its author wrote it."""
    return contract.sentences[name]


def as_printed(contract: KnownContract, name: str) -> str:
    """The sentence with hyphens, and with the running lines of a page break."""
    return "\n".join(contract.printed[name])


def in_one_line(contract: KnownContract, name: str) -> str:
    """The sentence with the hyphens of line ends, and spaces for line ends."""
    return " ".join(contract.printed[name])


def joined(contract: KnownContract, name: str) -> str:
    """The sentence with hyphens of line ends taken out."""
    return "\n".join(contract.printed[name]).replace("-\n", "").replace("\n", " ")


def curled(contract: KnownContract, name: str) -> str:
    """The sentence in curly quotation marks, with other spaces."""
    return f"\u201c{contract.sentences[name].replace(' ', chr(0xA0))}\u201d"


def changed(contract: KnownContract, name: str) -> str:
    """The sentence with another value."""
    return contract.changed[name][0]


def invented(contract: KnownContract, name: str) -> str:
    """A sentence that stands nowhere."""
    return f"Notwithstanding Section 9, the {name} shall be as agreed between the arbitrators of the lenders."


TRUE_QUOTES: Mapping[str, QuoteMaker] = {
    "stated": as_stated,
    "printed": as_printed,
    "one line": in_one_line,
    "joined": joined,
    "curled": curled,
}
FALSE_QUOTES: Mapping[str, QuoteMaker] = {"changed": changed, "invented": invented}


def spelled(output: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """Write values as people do."""
    words = {
        "signed": said_day,
        "fee": lambda fee: draw.choice((said_number(fee), f"{fee:,.2f}".translate(str.maketrans(",.", ".,")))),
        "renews": lambda truth: "Yes" if truth else "no",
        "term": lambda term: f" {term} ",
        "law": str.upper,
        "seller": lambda seller: [seller],
    }
    return {name: words[name](value) if name in words else value for name, value in output.items()}


def _without_a_field(output: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    left_out = draw.choice(list(output))
    return {name: value for name, value in output.items() if name != left_out}


def _with_a_wrong_type(output: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    wrong = [name for name, value in output.items() if not isinstance(value, str)]  # in tags, everything is a text
    return {**output, draw.choice(wrong): {"sorry": "no idea"}}


VALUES: Mapping[str, Callable[[dict[str, Any], random.Random], Any]] = {
    "spelled": spelled,
    "in a list": lambda output, _: [output],
    "missing": _without_a_field,
    "wrong type": _with_a_wrong_type,
}
"""Damage to values."""
TEXTS: Mapping[str, Callable[[str], str]] = {
    "comma": lambda text: f"{text[:-1]},{text[-1]}",
    "fence": lambda text: f"```json\n{text}\n```",
    "half": lambda text: text[: len(text) // 2],
    "words": lambda text: "I could not find this in the document.",
    "empty": lambda text: "",
}
"""Damage to the text of a reply."""
NORMALISED = ("spelled", "in a list", "comma", "fence")
"""Damage that is mended without another request."""
REPAIRED = ("missing", "wrong type", "half", "words", "empty", "cut")
"""Damage that takes another request."""


def seldom(rate: float, *kinds: str) -> Callable[[str, int, random.Random], str]:
    """Damage at this rate, of all kinds."""
    return lambda _, __, draw: draw.choice(kinds) if draw.random() < rate else "none"


@dataclass
class Standin:
    """Answers requests about known contracts, by the name of the document in the first line of the prompt."""

    contracts: Mapping[str, KnownContract]
    damage: Callable[[str, int, random.Random], str] = lambda *_: "none"
    """The damage done to the reply to a document, by the number of the reply."""
    repairs_well: float = 1.0
    """The probability that a reply to a repair is undamaged."""
    quoting: Callable[[str, str], QuoteMaker] = lambda *_: as_stated
    """How a field of a document is quoted."""
    misreads: bool = False
    """Whether the value of a field with a changed quote is changed too."""
    calls_complete: bool = True
    """Whether the last page of a list is called the last."""
    short_tokens: int = 3000
    """An answer that may have more tokens is never cut."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    damaged: Counter[str] = field(default_factory=Counter)

    # --- the provider, and the factory of itself

    async def send(self, request: Request) -> Reply:
        return self.reply(json.loads(request.wire))

    async def close(self) -> None:
        """There is nothing to close."""

    def check(self) -> None:
        """There is always a key."""

    def make(self, *, concurrency: int, timeout_s: float) -> Provider:
        return self

    # --- the model

    def reply(self, body: dict[str, Any]) -> Reply:
        """Answer a request."""
        self.bodies.append(body)
        asked = asked_in(body)
        self.answered[asked.doc_id] += 1
        number = self.answered[asked.doc_id]
        draw = random.Random(f"{asked.doc_id} {number}")
        damage = self.damage(asked.doc_id, number, draw)
        is_roomy = damage == "cut" and asked.max_tokens > self.short_tokens
        if is_roomy or (asked.is_repair and draw.random() < self.repairs_well):
            damage = "none"
        self.damaged[damage] += 1
        output: Any = dict(self.output(asked))
        if damage in VALUES:
            output = VALUES[damage](output, draw)
        text = xml(output) if asked.mode == "xml" else json.dumps(output, ensure_ascii=False)
        if asked.mode == "text":
            text = output["law"]
        if damage == "cut":
            return _said(asked, text[: len(text) // 2], "max_tokens", asked.max_tokens)
        text = TEXTS[damage](text) if damage in TEXTS else text
        return _said(asked, text, "end_turn", count_text(text, "old"))

    def output(self, asked: Asked) -> Iterator[tuple[str, Any]]:
        """Answer everything that is asked for."""
        contract = self.contracts[asked.doc_id.partition(" [part")[0]]
        page = contract.payments[asked.first_entry - 1 :][: asked.page_size]
        for name in asked.names:
            if name.endswith("_quote"):
                of = name.removesuffix("_quote")
                yield name, self.quoting(asked.doc_id, of)(contract, of)
            elif name == "payments":
                yield name, page
            elif name == "payments_complete":
                last = asked.first_entry - 1 + len(page)
                yield name, self.calls_complete and last >= len(contract.payments)
            elif name == "payment_count":
                yield name, len(contract.payments)
            else:
                yield name, self._value(asked.doc_id, contract, name)

    def _value(self, doc_id: str, contract: KnownContract, name: str) -> Any:
        is_misread = self.misreads and name in contract.changed and self.quoting(doc_id, name) is changed
        return contract.changed[name][1] if is_misread else contract.values[name]


def _said(asked: Asked, text: str, stop_reason: str, tokens: int) -> Reply:
    usage = Usage(input_tokens=asked.input_tokens, output_tokens=min(tokens, asked.max_tokens))
    if asked.mode != "tool":
        return answer(text, stop_reason=stop_reason, usage=usage)
    try:
        given: Any = json.loads(text)
    except ValueError:
        given = text
    block = {"type": "tool_use", "id": "toolu_1", "name": "give_answer", "input": given}
    raw = json.dumps({"content": [block]})
    stop_reason = "tool_use" if stop_reason == "end_turn" else stop_reason
    written = text if isinstance(given, str) else json.dumps(given)
    return answer("", stop_reason=stop_reason, usage=usage, tool_input=written, raw=raw)


def xml(output: Any) -> str:
    """Write an answer in tags."""
    return f"<answer>{_inside(output)}</answer>"


def _inside(value: Any) -> str:
    match value:
        case dict():
            return "".join(f"<{name}>{_inside(one)}</{name}>" for name, one in value.items())
        case list():
            return "".join(f"<item>{_inside(one)}</item>" for one in value)
        case bool():
            return str(value).lower()
        case _:
            return escape(str(value))


@dataclass
class BatchedStandin(BatchApi):
    """The Message Batches API with a stand-in behind it."""

    standin: Standin = field(default_factory=lambda: Standin({}))

    def _settle(self, remote: Remote) -> None:
        if not remote.fates and self.clock() >= remote.ends_at:
            remote.fates = {custom_id: self.standin.reply(params) for custom_id, params in remote.params.items()}
