"""What a request proves itself with: which kind of credential, where it is from, and what looks wrong with it."""

import re
from dataclasses import dataclass
from os import environ
from pathlib import Path

from batchrun.errors import EnvironmentProblem
from batchrun.job.provider_sections import ProviderSection
from batchrun.masking import keep_secret

KINDS = {
    "ANTHROPIC_API_KEY": "API key",
    "ANTHROPIC_AUTH_TOKEN": "auth token",
    "ANTHROPIC_PROFILE": "profile",
    "ANTHROPIC_FEDERATION_RULE_ID": "workload identity",
}
"""The variables that bring a credential; the first that is set counts (SDK 2.14, `lib/credentials/_chain.py`)."""
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


def key_of(section: ProviderSection, *usual: str) -> str | None:
    """Return the key in the variable that `api_key_env` names, or else in one of the usual ones.

    Returns None where no variable is named, and none of the usual ones is set. Raises EnvironmentProblem where the
    named one is not set, and for a key that no header takes.
    """
    named = section.api_key_env
    name = named or next((one for one in usual if environ.get(one)), "")
    key = environ.get(name)
    if named:
        keep_secret(named)
        if not key:
            raise EnvironmentProblem(f"api_key_env names {named}, which is not set.", hint=ENTER.format(named))
    if key and not (key.isascii() and key.isprintable()):
        raise EnvironmentProblem(f"{name} has characters in it that no key has.", hint=CLEAN.format(name))
    return key
