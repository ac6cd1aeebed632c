"""Settings of a cloud, from the section of the provider or from the environment; and extras that are missing."""

import re
from os import environ

from batchrun.errors import EnvironmentProblem
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import ProviderSection

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
"""What a setting looks like that becomes a part of an address."""


def setting(section: ProviderSection, key: str, *variables: str, otherwise: str | None = None) -> str:
    """Return a setting: what the section says, a variable, or else what the cloud's own settings say.

    Raises EnvironmentProblem where nothing says the setting, or where it cannot be a part of an address.
    """
    given = getattr(section, key) or next((environ[name] for name in variables if environ.get(name)), otherwise)
    if not given:
        raise EnvironmentProblem(
            f"a provider of type {section.type} needs a {key}, and neither its section nor the environment names one.",
            hint=f'write {key} = "…" in the section of the provider, or set {variables[0]}',
        )
    if not PLAIN.fullmatch(given):
        raise EnvironmentProblem(f'"{escape_control(given)[:100]}" can be no {key}.', hint=f"correct the {key}")
    return given


def missing_extra(section: ProviderSection, extra: str, library: str) -> EnvironmentProblem:
    """Say which command installs what a provider needs."""
    return EnvironmentProblem(
        f"a provider of type {section.type} needs {library}, which is not installed.",
        hint=f'pip install "batchrun-documents[{extra}]"',
    )
