"""All checks of `doctor`, in order."""

from collections.abc import Collection
from datetime import date
from pathlib import Path

from batchrun.cli.doctor.api import address, api, certificates, credential
from batchrun.cli.doctor.check import Check, Subject, checked
from batchrun.cli.doctor.job_checks import documents, job_file
from batchrun.cli.doctor.machine import ledger, output, packages, prices, vocabulary
from batchrun.cli.doctor.providers import providers
from batchrun.job.provider_sections import ANTHROPIC

OF_THE_API = (address, certificates, credential, api)
CHECKS = (packages, vocabulary, prices, job_file, documents, ledger, output, providers)
"""Later checks need what earlier checks found."""


def examine(
    path: Path | None, given_ledger: Path | None, *, offline: bool, today: date, wanted: Collection[str] = ()
) -> list[Check]:
    """Check everything around a job, or around the models of the project's last runs; nothing is sent if `offline`.

    Of the providers that are `wanted`, only what is needed to ask them is checked. Raises UsageProblem for a name that
    is none.
    """
    subject = Subject(path, given_ledger, offline, today, wanted=wanted)
    found = [one for check in ((prices, job_file) if wanted else CHECKS) for one in checked(check, subject)]
    if wanted and subject.broken:
        return found  # what is wrong there may hide the providers
    if wanted:
        for name in wanted:
            subject.providers.section(name)  # raises for a name that is none
        found += checked(providers, subject)
    return found + [one for check in OF_THE_API if ANTHROPIC in subject.asked for one in checked(check, subject)]
