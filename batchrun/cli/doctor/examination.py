"""All checks of `doctor`, in order."""

from datetime import date
from pathlib import Path

from batchrun.cli.doctor.api import address, api, key, trusted
from batchrun.cli.doctor.check import Check, Subject, checked
from batchrun.cli.doctor.job_checks import documents, job_file, models_by_table
from batchrun.cli.doctor.machine import ledger, output, packages, prices, vocabulary

CHECKS = (
    ("packages", packages),
    ("vocabulary", vocabulary),
    ("job file", job_file),
    ("prices", prices),
    ("job file", models_by_table),
    ("documents", documents),
    ("ledger", ledger),
    ("output", output),
    ("address", address),
    ("certificates", trusted),
    ("credential", key),
    ("api", api),
)


def examine(path: Path | None, given_ledger: Path | None, *, offline: bool, today: date) -> list[Check]:
    """Check everything around a job, or around the models of the project's last runs; nothing is sent if `offline`."""
    subject = Subject(path, given_ledger, offline, today)
    return [one for name, check in CHECKS for one in checked(name, check, subject)]
