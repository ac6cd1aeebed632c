"""Where requests for OpenAI go, and with what they prove themselves there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import environ

from batchrun.errors import EnvironmentProblem
from batchrun.job.provider_sections import ProviderSection, is_openais
from batchrun.providers.anthropic.credential import key_of, key_variable

DEFAULT = "https://api.openai.com/v1"
VARIABLE = "OPENAI_BASE_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One server, and what is sent to it beside requests."""

    url: str
    named_by: str
    key: str | None = field(repr=False)
    """The key. It is None for a server that is asked without one."""
    takes_environment: bool = False
    """Whether the headers that the environment has for OpenAI go there."""
    trust_env: bool = True
    """Whether the proxies of the environment apply."""
    headers: Mapping[str, str] = field(default_factory=dict)
    project: str | None = None

    @property
    def is_openais(self) -> bool:
        """Whether OpenAI itself answers."""
        return is_openais(self.url)


def address_of(section: ProviderSection) -> Address:
    """Find the address of a provider. Raises EnvironmentProblem for a key that is missing or none.

    OPENAI_API_KEY goes to OpenAI, and to OPENAI_BASE_URL. A `base_url` in a file, which may be from somebody else, is
    sent the key that `api_key_env` names beside it, and no other.
    """
    url = section.base_url or environ.get(VARIABLE, "").strip() or DEFAULT
    key = key_of(section)
    if key is None and is_openais(url):
        name = key_variable(section)
        hint = f"set {name}, or rehearse without a key: add --simulate"
        raise EnvironmentProblem(f"no API key: {name} is not set.", hint=hint)
    return Address(
        url=url,
        named_by="base_url" if section.base_url else VARIABLE,
        key=key,
        takes_environment=not section.is_elsewhere,
        headers=section.headers,
        project=section.project,
    )
