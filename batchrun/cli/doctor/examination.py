"""All checks of `doctor`, in order."""

from datetime import date
from pathlib import Path

from batchrun.cli.doctor.api import address, api, certificates, credential
from batchrun.cli.doctor.check import Check, Subject, checked
from batchrun.cli.doctor.job_checks import documents, job_file
from batchrun.cli.doctor.machine import ledger, output, packages, prices, vocabulary

CHECKS = (
    packages, vocabulary, prices, job_file, documents, ledger, output, address, certificates, credential, api,
)  # fmt: skip
"""Later checks need what earlier checks found."""


def examine(path: Path | None, given_ledger: Path | None, *, offline: bool, today: date) -> list[Check]:
    """Check everything around a job, or around the models of the project's last runs; nothing is sent if `offline`."""
    subject = Subject(path, given_ledger, offline, today)
    return [one for check in CHECKS for one in checked(check, subject)]
