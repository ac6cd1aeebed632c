"""What a request proves itself with: which kind of credential, where it is from, and what looks wrong with it."""

import re
from dataclasses import dataclass
from os import environ
from pathlib import Path

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
class Doubt:
    """What looks wrong with a credential, and the command that mends it."""

    words: str
    fix: str
    fatal: bool
    """Whether no request can succeed."""


@dataclass(frozen=True, slots=True)
class Credential:
    """The credential that requests carry. Of a secret, `words` have no more than the last four characters."""

    words: str
    doubts: tuple[Doubt, ...] = ()


def credential(*, is_default_address: bool) -> Credential:
    """Describe the credential that the SDK chooses. Whether there is a usable one is `AnthropicFactory.check_key`'s."""
    given = [name for name in KINDS if environ.get(name)]
    if not given:
        folder = environ.get("ANTHROPIC_CONFIG_DIR") or Path.home() / ".config" / "anthropic"
        return Credential(f"the active profile of {folder}, or ANTHROPIC_CUSTOM_HEADERS")
    name, *others = given
    secret = environ[name] if name in SECRETS else ""
    doubts = [
        Doubt(f"{name} {words}", fix.format(name), fatal)
        for sign, words, fix, fatal in SIGNS
        if re.search(sign, secret)
    ][:1]
    if name == SECRETS[0] and is_default_address and not doubts and not secret.startswith("sk-ant-"):
        doubts = [Doubt(f"{name} does not begin with sk-ant-, as keys of this API do", ENTER.format(name), fatal=False)]
    doubts += [Doubt(f"{other} is set too, and {name} counts", f"unset {other}", fatal=False) for other in others]
    ending = f" …{secret[-4:]}" if len(secret) >= LONG_ENOUGH else ""
    return Credential(f"{KINDS[name]}{ending}, from {name}", tuple(doubts))


def mend_key() -> str:
    """Return the command that sets a missing key, or takes out of a key what is no part of it."""
    given = next((name for name in SECRETS if environ.get(name)), None)
    return CLEAN.format(given) if given else ENTER.format(SECRETS[0])


def enter_key() -> str:
    """Return the command that asks for another key."""
    return ENTER.format(next((name for name in SECRETS if environ.get(name)), SECRETS[0]))
