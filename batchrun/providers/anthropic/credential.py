"""What a request proves itself with: which kind of credential, where it is from, and what looks wrong with it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import environ
from pathlib import Path

from batchrun.errors import EnvironmentProblem
from batchrun.job.provider_sections import ProviderSection, ProviderType
from batchrun.masking import keep_secret

KINDS = {
    "ANTHROPIC_API_KEY": "API key",
    "ANTHROPIC_AUTH_TOKEN": "auth token",
    "ANTHROPIC_PROFILE": "profile",
    "ANTHROPIC_FEDERATION_RULE_ID": "workload identity",
}
"""The variables that bring a credential; the first that is set counts (SDK 2.14, `lib/credentials/_chain.py`)."""
USUAL_KEYS: Mapping[ProviderType, str] = {
    "aws": "ANTHROPIC_AWS_API_KEY",
    "foundry": "ANTHROPIC_FOUNDRY_API_KEY",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
    "openai": "OPENAI_API_KEY",
}
"""The usual variable with a key, of the other types that take keys (anthropic 2.14, openai 3.57)."""
SECRETS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
LONG_ENOUGH = 24
"""The fewest characters of a secret whose last four are shown."""
ENTER = "read -rs {0} && export {0}"
"""Asks for the secret without showing the secret or keeping it in the history of the shell."""
CLEAN = """export {0}="$(printf %s "${0}" | tr -d "[:space:]\\"'")\""""
SIGNS = (
    (r"^[\s\"'`]|[\s\"'`]$", "has quotes or spaces around it, which are no part of a key", CLEAN, True),
    (r"(?i)^bearer\s", 'begins with "Bearer", which the client adds', ENTER, True),
    (r"^sk-ant-admin", "is an admin key, which sends no messages", ENTER, True),
    # A random key has such a word in it once in some thousand keys.
    (r"(?i)your|example|change.?me|replace|placeholder|x{4}|\.\.\.|[<>]", "looks like a placeholder", ENTER, False),
)
"""The signs of a secret that is none: its look, what is said, the command that mends it, whether it is sure to fail."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a credential, and the command that mends it if it is wrong."""

    words: str
    """The words have no more of a secret than the last four characters."""
    fix: str | None = None
    fatal: bool = False
    """Whether no request can succeed."""


def findings(*, is_default_address: bool) -> list[Finding]:
    """Describe the credential that the SDK chooses, and what looks wrong with it.

    Whether there is a usable credential at all is for `AnthropicFactory.check_key` to say.
    """
    name, *others = [name for name in KINDS if environ.get(name)] or [""]
    if not name:
        folder = environ.get("ANTHROPIC_CONFIG_DIR") or Path.home() / ".config" / "anthropic"
        return [Finding(f"the active profile of {folder}, or ANTHROPIC_CUSTOM_HEADERS")]
    secret = environ[name] if name in SECRETS else ""
    found = of_secret(name, secret, kind=KINDS[name])
    if name == SECRETS[0] and is_default_address and not secret.startswith("sk-ant-") and len(found) == 1:
        found.append(Finding(f"{name} does not begin with sk-ant-, as keys of this API do", ENTER.format(name)))
    return [*found, *(Finding(f"{other} is set too, and {name} counts", f"unset {other}") for other in others)]


def of_secret(name: str, secret: str, *, kind: str = "API key") -> list[Finding]:
    """Describe what a variable has by the last characters of the secret, and say the first thing that looks wrong."""
    ending = f" …{secret[-4:]}" if len(secret) >= LONG_ENOUGH else ""
    signs = (sign for sign in SIGNS if re.search(sign[0], secret))
    wrong = [Finding(f"{name} {words}", fix.format(name), fatal) for _, words, fix, fatal in signs]
    return [Finding(f"{kind}{ending}, from {name}"), *wrong[:1]]


def mend_key(*, with_another: bool = False) -> str:
    """Return the command that asks for a key, or that takes out of the key what is no part of a key."""
    given = next((name for name in SECRETS if environ.get(name)), None)
    return CLEAN.format(given) if given and not with_another else ENTER.format(given or SECRETS[0])


def key_variable(section: ProviderSection) -> str | None:
    """Return the variable that brings the key of a provider.

    Returns None where no key is sent, such as with a profile of AWS, and for the API of Anthropic, where the SDK
    chooses. A usual key never goes to another address: there `api_key_env` says which key does.
    """
    return section.api_key_env or (None if section.profile or section.is_elsewhere else USUAL_KEYS.get(section.type))


def key_of(section: ProviderSection) -> str | None:
    """Return the key of a provider. Returns None where no variable brings one, and where the usual one is not set.

    Raises EnvironmentProblem where the one that `api_key_env` names is not set, and for a key that no header takes.
    """
    name = key_variable(section)
    key = environ.get(name) if name else None
    if section.api_key_env:
        keep_secret(section.api_key_env)
        if not key:
            raise EnvironmentProblem(f"api_key_env names {name}, which is not set.", hint=ENTER.format(name))
    if key and not (key.isascii() and key.isprintable()):
        raise EnvironmentProblem(f"{name} has characters in it that no key has.", hint=CLEAN.format(name))
    return key or None
