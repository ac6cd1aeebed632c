"""[metrics] and [notify] of a job file and of batchrun.toml: which other programs hear of runs."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from batchrun.job.field_types import Table
from batchrun.job.key_types import Texts, distinct
from batchrun.job.value_errors import matching, refusal

JOB = "{job}"
Why = Literal["end", "stop", "deadline"]
"""A run came to its end, stopped before its end, or will not end by its deadline."""


class MetricsSection(Table):
    """[metrics]: where numbers of the last run are written. No request depends on this section."""

    prometheus_textfile: Annotated[
        str,
        AfterValidator(
            matching(re.compile(r"|[^\0]+\.prom").fullmatch, "a file ending in .prom: node_exporter reads no other")
        ),
    ] = ""
    """The file, in which `{job}` stands for the name of the job. Nothing is written if the text is empty."""


class NotifySection(Table):
    """[notify]: who is told how runs end. No request depends on this section."""

    on: Annotated[tuple[Why, ...], Field(strict=False), AfterValidator(distinct)] = ("end", "stop", "deadline")
    """What is told: that a run ended, stopped before its end, or may miss its deadline."""
    webhook_env: Annotated[
        str | None,
        AfterValidator(
            matching(re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}").fullmatch, "the name of an environment variable")
        ),
    ] = None
    """The environment variable with the address: an address often has a token in it, which no file should have."""
    command: Annotated[Texts | None, Field(min_length=1)] = None
    """A program with its arguments, which reads the JSON from stdin."""


def for_every_job(metrics: MetricsSection) -> MetricsSection:
    """Refuse a file that every job of a project would write over."""
    if metrics.prometheus_textfile and JOB not in metrics.prometheus_textfile:
        raise refusal("every job would write this file", key="prometheus_textfile", hint="such as batchrun_{job}.prom")
    return metrics


def starts_no_program(notify: NotifySection) -> NotifySection:
    """Refuse a program: whoever hands on a job file must not start programs elsewhere."""
    if notify.command is not None:
        raise refusal("a job file starts no programs", key="command", hint="write [notify] command in batchrun.toml")
    return notify
