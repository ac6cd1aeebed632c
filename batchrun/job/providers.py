"""The providers of a job, and how a model's name says which provider answers."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from functools import cache

from batchrun.errors import UsageProblem
from batchrun.job.problems import did_you_mean
from batchrun.job.provider_sections import ANTHROPIC, TYPES, ProviderSection


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers of a job by their names. Without any section, everything goes to the API of Anthropic.

    The engine name of a model is what everything is kept under: `claude-sonnet-5-5` at the provider `anthropic`, and
    elsewhere the provider's name before the model's name there, as in `bedrock/claude-sonnet-5-5`.
    """

    sections: Mapping[str, ProviderSection] = field(default_factory=dict)
    """The sections by name; [provider] is there under its type."""
    default: str = ANTHROPIC
    """The name of the provider of models that name none."""
    plain: Container[str] = field(default=frozenset(), compare=False)
    """Names of models that have a slash and yet name no provider: a gateway's, with rows of prices of their own."""

    @classmethod
    def of(cls, *files: tuple[ProviderSection | None, Mapping[str, ProviderSection]]) -> "Providers":
        """Put [provider], if there is one, and [providers] of files together; a later file's section counts."""
        sections, default = dict[str, ProviderSection](), ANTHROPIC
        for own, named in files:
            sections |= named
            if own is not None:
                sections[own.type], default = own, own.type
        return cls(sections, default)

    def split(self, model: str) -> tuple[str, str]:
        """Take an engine name apart: the name of the provider, and the name of the model there."""
        name, slash, rest = model.partition("/")
        known = name in self.sections or (name in TYPES and model not in self.plain)
        return (name, rest) if slash and rest and known else (ANTHROPIC, model)

    def qualified(self, model: str) -> str:
        """Return the engine name of a model as a person names the model."""
        name, there = self.split(model)
        return engine_name(self.default if there == model else name, there)

    def section(self, name: str) -> ProviderSection:
        """Return the section of a provider; a type that has no section is a provider with the defaults.

        Raises UsageProblem for a provider that no file names, such as that of an open batch whose section is gone.
        """
        if found := self.sections.get(name) or _defaults().get(name):
            return found
        close = did_you_mean(name, {*self.sections, *TYPES})
        meant = f"did you mean {close}? " if close else ""
        hint = f"{meant}see them: batchrun providers; an open batch needs the section [providers.{name}] that it had"
        raise UsageProblem(f'there is no provider "{name}".', hint=hint)

    def identity(self, model: str) -> str:
        """Return what the identity of a request to this model has beside the engine name: a type that is not in it."""
        name, _ = self.split(model)
        kind = self.section(name).type
        return "" if kind == name else kind


@cache
def _defaults() -> Mapping[str, ProviderSection]:
    """Return the sections of the types, as they are where no file has a section."""
    return {kind: ProviderSection(type=kind) for kind in TYPES}


def engine_name(provider: str, model: str) -> str:
    """Return the name under which everything of a provider's model is kept."""
    return model if provider == ANTHROPIC else f"{provider}/{model}"
