"""[provider] and [providers.NAME]: whose API answers, in a job file or in batchrun.toml."""

import re
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from batchrun.job.credentials import VARIABLE
from batchrun.job.field_types import Table
from batchrun.job.key_types import Positive, Text
from batchrun.job.value_errors import matching, refusal, wrong_value

ProviderType = Literal["anthropic", "aws", "google", "foundry", "bedrock", "vertex", "openai"]
TYPES: tuple[ProviderType, ...] = get_args(ProviderType)
ANTHROPIC: ProviderType = "anthropic"
_CLOUDS = ("aws", "google", "bedrock", "vertex")
_KEYS_OF = {
    "region": _CLOUDS,
    "project": ("google", "vertex", "openai"),
    "workspace": ("aws", "google"),
    "profile": ("aws", "bedrock"),
    "resource": ("foundry",),
    "bucket": ("bedrock", "vertex"),
    "role": ("bedrock",),
    "api": ("openai",),
    "free": ("openai", ANTHROPIC),
    "context_window": ("openai", ANTHROPIC),
    "api_key_env": ("openai", ANTHROPIC, "aws", "foundry", "bedrock"),
}
"""The types of providers that a key is for, by the key. Keys that are not here are for all types."""
MOST_HEADERS = 20
_OF_THE_CONNECTION = {"host", "content-length", "content-encoding", "transfer-encoding", "connection"}
"""The headers that the client itself writes. A second one would spoil every request."""
_PRINTED = re.compile(r"[!-~]+")
_DOMAINS: dict[ProviderType, str] = {"openai": ".openai.com", ANTHROPIC: ".anthropic.com"}


def address(text: str) -> str:
    """Check the address of a service. Raises PydanticCustomError."""
    try:
        parts, has_port = urlsplit(text), urlsplit(text).port != 0
    except ValueError:
        parts, has_port = urlsplit(""), False
    if parts.scheme not in {"http", "https"} or not parts.hostname or not has_port or not _PRINTED.fullmatch(text):
        raise wrong_value("an address such as http://localhost:8080/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise refusal("an address here has neither user nor password, nor a query")
    return text


Address = Annotated[str, AfterValidator(address)]
"""The address of a service, without credentials."""


def _harmless(headers: dict[str, str]) -> dict[str, str]:
    if len(headers) > MOST_HEADERS:
        raise refusal(f"{len(headers)} headers, and a provider may have {MOST_HEADERS}")
    for name, value in headers.items():
        is_sent = re.fullmatch(r"[A-Za-z0-9-]{1,100}", name) and value.isascii() and value.isprintable()
        if not is_sent or name.lower() in _OF_THE_CONNECTION:
            raise refusal(f"`{name}` is no header that can be sent", key=name)
    return headers


def is_openais(address: str) -> bool:
    """Whether an address is OpenAI's own, in any region."""
    return _is_in(_DOMAINS["openai"], address)


def _is_in(domain: str, address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" and f".{parts.hostname}".endswith(domain)


class ProviderSection(Table):
    """[provider] and [providers.NAME]: whose API answers. Credentials come from the environment or from the cloud."""

    type: ProviderType = ANTHROPIC
    """Whose API answers; a provider that is named like a type is of that type by default."""
    base_url: Address | None = None
    """The address of the API, if it is not the usual one."""
    region: Text | None = None
    """The region of the cloud; the default is what the environment or the cloud's own settings say."""
    project: Text | None = None
    """The project, for Google and OpenAI; the default is what the environment says."""
    workspace: Text | None = None
    """The workspace, for Claude on AWS and Google; the default is what the environment says."""
    profile: Text | None = None
    """The profile of the AWS settings whose credentials are used."""
    resource: Text | None = None
    """The resource of Azure AI Foundry; the default is what the environment says."""
    headers: Annotated[dict[str, str], AfterValidator(_harmless)] = Field(default_factory=dict)
    """Headers that go with every request; none of them may carry a credential."""
    api_key_env: Annotated[str, AfterValidator(matching(VARIABLE.fullmatch, "a variable's name"))] | None = None
    """The environment variable with the key, if it is not the usual one, which goes to no other server than its own."""
    api: Literal["chat", "responses"] = "chat"
    """Which API of OpenAI is spoken: Chat Completions, which other servers speak too, or Responses."""
    free: bool = False
    """Whether the provider is a server of one's own, whose answers cost nothing. Otherwise a model needs a price."""
    models: dict[str, Text] = Field(default_factory=dict)
    """Names of models at this provider, such as deployments, each with the name of its row in the table of prices."""
    structured_output: bool | None = None
    """Whether the server holds answers to a JSON Schema; the default is what is known of the type."""
    context_window: Positive | None = None
    """The tokens that a prompt and its answer may have together, for models without a row in the table of prices."""
    bucket: (
        Annotated[str, AfterValidator(matching(re.compile(r"(s3|gs)://[^/\s]+(/\S*)?").fullmatch, "s3://… or gs://…"))]
        | None
    ) = None
    """The place for the files of batches: an S3 address for Bedrock, a Cloud Storage address for Vertex."""
    role: Text | None = None
    """The ARN of the IAM role by which Bedrock reads and writes the bucket."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether a `base_url` leads to another server than Anthropic's or OpenAI's own, which gets no usual key."""
        domain = _DOMAINS.get(self.type)
        return bool(self.base_url and domain and not _is_in(domain, self.base_url))

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        given = (key for key in _KEYS_OF if getattr(self, key) != type(self).model_fields[key].default)
        if others := [key for key in given if self.type not in _KEYS_OF[key]]:
            names = " and no ".join(f"`{key}`" for key in others)
            hint = "; ".join(f"`{key}` is for {', '.join(_KEYS_OF[key])}" for key in others)
            raise refusal(f"a provider of type {self.type} has no {names}", key=others[0], hint=hint)
        if self.profile and self.api_key_env:
            raise refusal("a provider has a profile or a key", key="api_key_env", hint="take one of the two out")
        if self.bucket and not self.bucket.startswith("s3:" if self.type == "bedrock" else "gs:"):
            raise refusal(
                f"{self.type} keeps files elsewhere", key="bucket", hint="s3:// for bedrock, gs:// for vertex"
            )
        if self.type == "bedrock" and self.bucket and not self.role:
            hint = 'name the role of IAM by which Bedrock reads the bucket and writes there: role = "arn:aws:iam::…"'
            raise refusal("a bucket for Bedrock needs a role", key="bucket", hint=hint)
        return self


ProviderName = Annotated[
    str, AfterValidator(matching(re.compile(r"[a-z0-9][a-z0-9_-]{0,39}").fullmatch, "a name of a-z, 0-9, _ and -"))
]


def _own_names(named: dict[str, ProviderSection], info: ValidationInfo) -> dict[str, ProviderSection]:
    for name, section in named.items():
        if name in TYPES and section.type != name:
            hint = f"give the section another name, such as [providers.my-{name}]"
            raise refusal(f"a provider named {name} is of that type", key=(name, "type"), hint=hint)
    own = info.data.get("provider")
    if own and own.model_fields_set and own.type in named:
        hint = f"give this section another name, such as [providers.my-{own.type}], or take one of the two out"
        raise refusal(f"[provider] is named {own.type} too, as its type", key=own.type, hint=hint)
    return named


def typed_by_name(sections: object) -> object:
    """Fill in the type of providers that are named like a type and say no type."""
    if not isinstance(sections, dict):
        return sections
    return {
        name: {"type": name, **section} if isinstance(section, dict) and name in TYPES else section
        for name, section in sections.items()
    }


NamedProviders = Annotated[
    dict[ProviderName, ProviderSection], BeforeValidator(typed_by_name), AfterValidator(_own_names)
]
"""[providers]: providers by the name that stands before the name of a model, as in `home/llama3`."""
