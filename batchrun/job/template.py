"""The prompt template: `{{ doc.text }}`, `{{ doc.id }}` and `{{ doc.<column> }}`, and nothing else of Jinja."""

import re
from dataclasses import dataclass, replace

from batchrun.document import Document
from batchrun.errors import UsageProblem
from batchrun.job.problems import did_you_mean
from batchrun.job.toml_positions import Span

_MARK = re.compile(r"\{\{(?P<inside>.*?)\}\}|\{%.*?%\}|\{#.*?#\}|\{[{%#]", re.DOTALL)
_PLACEHOLDER = re.compile(r"\s*doc\.(?P<name>[^\W\d]\w*)\s*")
_LOGIC_HINT = "put logic in the source query, as a column, and write {{ doc.<column> }}"
_KNOWN_HINT = "a template knows {{ doc.text }}, {{ doc.id }} and {{ doc.<column> }}"


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`{{ doc.<name> }}`, and where the placeholder stands in the template."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """One thing in a template that is not supported."""

    message: str
    span: Span
    hint: str


class TemplateError(UsageProblem):
    """A template has faults; the error has all of them."""

    def __init__(self, faults: tuple[TemplateFault, ...]) -> None:
        super().__init__("; ".join(fault.message for fault in faults), hint=faults[0].hint)
        self.faults = faults


@dataclass(frozen=True)
class Template:
    """A parsed template. Documents are put in after parsing, so the text of a document is never a template."""

    parts: tuple[str | Placeholder, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Parse the text. Raises TemplateError with every fault."""
        parts: list[str | Placeholder] = []
        faults: list[TemplateFault] = []
        end = 0
        for mark in _MARK.finditer(text):
            read = _read(mark)
            parts.append(text[end : mark.start()])
            end = mark.end()
            if isinstance(read, TemplateFault):
                faults.append(read)
            else:
                parts.append(read)
        if faults:
            raise TemplateError(tuple(faults))
        return cls(tuple(part for part in [*parts, text[end:]] if part))

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """The places where something of a document goes."""
        return tuple(part for part in self.parts if isinstance(part, Placeholder))

    @property
    def literals(self) -> tuple[str, ...]:
        """The texts between placeholders, the same for every document."""
        return tuple(part for part in self.parts if isinstance(part, str))

    @property
    def names(self) -> frozenset[str]:
        """The columns that the template uses, besides `id` and `text`."""
        return frozenset(placeholder.name for placeholder in self.placeholders) - {"id", "text"}

    def render(self, document: Document) -> str:
        """Put a document in; a missing value (None) becomes nothing."""
        return "".join(part if isinstance(part, str) else _value(part.name, document) for part in self.parts)

    def render_around(self, document: Document) -> tuple[str, str]:
        """Put a document in whose file stands at the first `{{ doc.text }}`. Returns the texts before and behind."""
        at = next((no for no, part in enumerate(self.parts) if isinstance(part, Placeholder) and part.name == "text"))
        textless = replace(document, text="")
        before, behind = Template(self.parts[:at]), Template(self.parts[at:])
        return before.render(textless), behind.render(textless)


def _value(name: str, document: Document) -> str:
    if name == "text":
        return document.preface + document.text
    if name == "id":
        return document.doc_id
    if name not in document.columns:
        known = ", ".join(["id", "text", *document.columns])
        raise UsageProblem(
            f"the prompt uses doc.{name}, and {document.source} has no such column", hint=f"known here: {known}"
        )
    value = document.columns[name]
    return "" if value is None else str(value)


def _read(mark: re.Match[str]) -> Placeholder | TemplateFault:
    span = Span(*mark.span())
    written = mark.group()
    if len(written) == 2:
        closing = {"{{": "}}", "{%": "%}", "{#": "#}"}[written]
        return TemplateFault(f"`{written}` is never closed", span, f"close it with `{closing}`; {_KNOWN_HINT}")
    inside = mark["inside"]
    if inside is None:
        return TemplateFault(f"`{_shown(written)}` is not supported", span, _LOGIC_HINT)
    placeholder = _PLACEHOLDER.fullmatch(inside)
    return Placeholder(placeholder["name"], span) if placeholder else _unsupported(inside.strip(), span)


def _unsupported(expression: str, span: Span) -> TemplateFault:
    message = f"`{{{{ {_shown(expression)} }}}}` is not supported"
    if re.match(r"(?i)(os\.)?env(iron)?\b", expression):
        return TemplateFault(message, span, "secrets do not belong in prompts")
    if re.fullmatch(r"[^\W\d]\w*", expression):
        column = did_you_mean(expression, ["text", "id"]) or expression
        return TemplateFault(message, span, f"did you mean {{{{ doc.{column} }}}}?")
    return TemplateFault(message, span, _LOGIC_HINT if expression.startswith("doc.") else _KNOWN_HINT)


def _shown(written: str) -> str:
    flat = " ".join(written.split())
    return flat if len(flat) <= 40 else f"{flat[:40]}…"
