"""The secrets of the environment, which the other side may repeat, and which no text of ours may have in it."""

import base64
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from os import environ
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from batchrun.reply import Failure, Reply

Told = TypeVar("Told", Failure, Reply)
KEYS = [
    *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_AWS_API_KEY", "ANTHROPIC_FOUNDRY_API_KEY"),
    *("AWS_BEARER_TOKEN_BEDROCK", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OPENAI_API_KEY"),
    "BATCHRUN_LEASES_TOKEN",
]
"""The variables that have keys; `keep_secret` adds those that jobs name."""
HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
URLS = ("ANTHROPIC_BASE_URL", *(f"{name}_PROXY" for name in ("HTTP", "HTTPS", "ALL")))
AMAZON_LOGGERS = ("botocore.auth", "botocore.endpoint", "botocore.hooks", "botocore.parsers")
"""The loggers that tell headers, with the session token, and answers, with the credentials of a role or a sign-in."""
SHORTEST = 8
"""Shorter values, such as a region or a number, are no secrets, and would be found in the middle of ordinary words."""
MASK = "***"
_ANY_KEY = re.compile(r"sk-ant-[\w-]{8,}|ya29\.[\w.-]{8,}")
_SCHEME = re.compile(r"(?:basic|bearer|token|key)\s+", re.IGNORECASE)
_TOLD = ("message", "error_type", "error_code", "stop_reason", "model", "api_request_id")
"""The fields of a failure and of a reply that are the other side's words. The answer is data, and stays;
the body around it is masked too if the other side has repeated a secret in one of these."""


def keep_secret(variable: str) -> None:
    """Have the value of another variable masked from now on."""
    if variable not in KEYS:
        KEYS.append(variable)


def without_secrets(told: Told, secrets: Sequence[str] | None = None) -> Told:
    """Mask what the other side repeats of our secrets: the headers of a request too, which are its to know.

    Who sends thousands of requests gives the secrets, which take longer to list than to look for.
    """
    texts = {name: text for name in _TOLD if isinstance(text := getattr(told, name, None), str)}
    together, secrets = "\n".join(texts.values()), current_secrets(headers=True) if secrets is None else secrets
    if not (_ANY_KEY.search(together) or any(secret[:SHORTEST] in together for secret in secrets)):
        return told
    masks: dict[str, Any] = {name: mask for name, text in texts.items() if (mask := masked(text, headers=True)) != text}
    if masks and isinstance(told, Reply):
        masks["raw"] = masked(told.raw, headers=True)
    return replace(told, **masks) if masks else told


def masked(text: str, *, headers: bool = False) -> str:
    """Mask keys, tokens and passwords of the environment, and what looks like a key of the API or a token of Google.

    The values of custom headers may be ordinary words of ours, such as a team or a job: they are masked in what others
    say, with `headers`. A text that was cut in the middle of a secret ends with a part of the secret, masked too.
    """
    for secret in current_secrets(headers=headers):
        if secret[:SHORTEST] not in text:
            continue
        text = text.replace(secret, MASK)
        for length in range(len(secret) - 1, SHORTEST - 1, -1):
            if text.endswith(secret[:length]):
                text = text[:-length] + MASK
                break
    return _ANY_KEY.sub(MASK, text)


def without_keys() -> dict[str, str]:
    """Return the environment for a process that sends nothing: hostile files are read where no key of the API is."""
    return {name: value for name, value in environ.items() if name not in {*KEYS, HEADERS}}


def current_secrets(*, headers: bool) -> list[str]:
    """List the secrets that the environment has now."""
    names = (*KEYS, *URLS, *(name.lower() for name in URLS), *((HEADERS,) if headers else ()))
    return _secrets(tuple((name, value) for name in names if (value := environ.get(name)) is not None))


def never_told(*loggers: str) -> None:
    """Keep loggers from telling what they tell of credentials, whatever level somebody gives them, before or after."""
    for logger in loggers:
        logging.getLogger(logger).addFilter(_is_harmless)


def _is_harmless(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


@cache
def _secrets(variables: tuple[tuple[str, str], ...]) -> list[str]:
    """List the secrets in these variables as they may be written, long ones first: one may be in another."""
    found: set[str] = set()
    for name, value in variables:
        if name.upper() in URLS:
            found |= _of_url(value)
        elif name == HEADERS:
            values = [line.partition(":")[2].strip() for line in value.splitlines()]
            found |= {*values, *(_SCHEME.sub("", value, count=1) for value in values)}
        else:
            found.add(value.strip())
    found |= {json.dumps(secret)[1:-1] for secret in found}
    return sorted((secret for secret in found if len(secret) >= SHORTEST), key=len, reverse=True)


def _of_url(url: str) -> set[str]:
    """List the password of a URL, or its user where there is no password, and both as a header has them."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return set()
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    secret = password or user
    return {secret, unquote(secret), base64.b64encode(pair).decode()} if secret else set()
