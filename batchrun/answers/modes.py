"""The modes of asking for an answer: what each adds to a request, and how each reads the reply."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from batchrun.answers.asking import Asking, StructuredAsking, ToolAsking, ToolChoice, WordsAsking
from batchrun.answers.form import DEFAULT_MODE, AnswerForm, ModeName
from batchrun.answers.json_text import UnusableError, parsed, refuse_half_characters
from batchrun.answers.xml_text import parsed_xml
from batchrun.answers.xml_words import element, root_of, xml_words
from batchrun.reply import Reply

TOOL_NAME = "give_answer"
_ENDS = frozenset({"end_turn", "stop_sequence"})
TOOL_DESCRIPTION = (
    "Takes the answer to the question about the document. Call this tool exactly once, with a value for every field, "
    "and write no text."
)
_SCHEMA_OVERHEAD, _SCHEMA_RATIO = 100, 2.0
"""Recorded structured requests to 4.5 models, with schemas of 39 to 149 cl100k tokens, took 100 + 2.0 x schema Claude
tokens more than their prompts did, to within 16."""
_JSON_RATIO = 1.22
"""Claude's tokens per cl100k token of measured JSON without spaces."""


class AnswerMode(Protocol):
    """One way to ask for an answer."""

    def ask(self, form: AnswerForm, choice: ToolChoice, /) -> Asking:
        """Make what is added to a request; `choice` says what the model may do where a tool is asked for."""

    def read(self, form: AnswerForm, reply: Reply, /) -> Any:
        """Take the value out of a reply. Numbers are int and Decimal, as they are written. Raises UnusableError."""

    def write(self, form: AnswerForm, output: Mapping[str, Any], /) -> str:
        """Write an answer as the text of a model, for an example."""

    def overhead(self, rendered: int, tool_prompt: float, /) -> float:
        """Estimate the tokens that the API adds to a request beyond the words of the request.

        `rendered` counts the cl100k tokens of `Asking.rendered`, and `tool_prompt` the tokens of the system prompt that
        the API adds for tools. Like `tool_prompt`, the estimate is in tokens of Claude models up to 4.6.
        """


class _Json:
    """What the modes have in common whose answers are JSON."""

    def write(self, _: AnswerForm, output: Mapping[str, Any], /) -> str:
        return json.dumps(output, ensure_ascii=False, separators=(",", ":"))


class _Structured(_Json):
    def ask(self, form: AnswerForm, _: ToolChoice, /) -> Asking:
        return StructuredAsking(form.api_schema)

    def read(self, _: AnswerForm, reply: Reply, /) -> Any:
        return parsed(reply.text)

    def overhead(self, rendered: int, _: float, /) -> float:
        return _SCHEMA_OVERHEAD + _SCHEMA_RATIO * rendered


class _Tool(_Json):
    def ask(self, form: AnswerForm, choice: ToolChoice, /) -> Asking:
        return ToolAsking(TOOL_NAME, TOOL_DESCRIPTION, form.api_schema, choice)

    def read(self, _: AnswerForm, reply: Reply, /) -> Any:
        """Read the input of the tool. A model that is not forced may have written the same JSON as text."""
        return parsed(reply.text if reply.tool_input is None else reply.tool_input)

    def overhead(self, rendered: int, tool_prompt: float, /) -> float:
        """Add the tool as it is written: nothing is known of another rendering."""
        return tool_prompt + _JSON_RATIO * rendered


class _Words:
    """What the modes have in common that ask by words alone."""

    def overhead(self, _: int, __: float, /) -> float:
        return 0.0


class _Xml(_Words):
    def ask(self, form: AnswerForm, _: ToolChoice, /) -> Asking:
        return WordsAsking(xml_words(form.api_schema))

    def read(self, form: AnswerForm, reply: Reply, /) -> Any:
        return parsed_xml(reply.text, form.full_schema)

    def write(self, form: AnswerForm, output: Mapping[str, Any], /) -> str:
        return element(root_of(form.api_schema), output)


class _Text(_Words):
    def ask(self, form: AnswerForm, _: ToolChoice, /) -> Asking:
        name, field = _only_field(form.api_schema)
        return WordsAsking("\n".join([f"Reply with the {name} alone.", *filter(None, [field.get("description")])]))

    def read(self, form: AnswerForm, reply: Reply, /) -> Any:
        """Take the whole text as the value of the one field."""
        if not reply.text.strip():
            raise UnusableError("the reply has no text")
        refuse_half_characters(reply.text)
        return {_only_field(form.full_schema)[0]: reply.text}

    def write(self, form: AnswerForm, output: Mapping[str, Any], /) -> str:
        return str(output[_only_field(form.full_schema)[0]])


def _only_field(schema: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    ((name, field),) = schema["properties"].items()
    return name, field


MODES: Mapping[ModeName, AnswerMode] = {DEFAULT_MODE: _Structured(), "tool": _Tool(), "xml": _Xml(), "text": _Text()}
"""Every mode by its name in the job file."""


def is_complete(form: AnswerForm, reply: Reply) -> bool:
    """Whether a reply came to its own end; the call of a tool is an end where a tool was asked for."""
    return reply.stop_reason in _ENDS or (reply.stop_reason == "tool_use" and form.mode == "tool")
