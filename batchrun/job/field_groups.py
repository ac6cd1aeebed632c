"""Which fields one request asks for: more fields than the API takes in one schema become groups."""

from itertools import accumulate, pairwise
from typing import Literal

from batchrun.job.fields import OutputFields
from batchrun.job.schema_limits import fits, schema_bytes, schema_unions

GroupSetting = int | Literal["auto"] | None
"""How many groups the job file asks for; None stands for one."""
Groups = tuple[tuple[str, ...], ...]

MAX_GROUPS = 100
"""The most groups of a job: each group is a request for every document."""
MAX_GROUP_FIELDS = 100
"""The most fields in a group of `groups = "auto"`: models give no valid answer where a request asks for hundreds."""


def field_groups(fields: OutputFields, setting: GroupSetting, *, evidence: bool) -> Groups:
    """Part the fields into groups, in order. Whoever calls has the groups checked against the limits of the API.

    With "auto" a group ends where one more field would be too much. A single field that is too much is a group.
    `evidence` says whether fields that leave it open have a quote.
    """
    names = tuple(fields.definitions)
    match setting:
        case None:
            return (names,)
        case "auto":
            return _fewest(fields, evidence=evidence)
        case count:
            return tuple(names[start:end] for start, end in _equal_ranges(len(names), min(count, len(names))))


def _equal_ranges(length: int, count: int) -> list[tuple[int, int]]:
    """Cut a length into ranges that differ by one at most, the longer ranges first."""
    share, longer = divmod(length, count)
    return list(pairwise(accumulate((share + (number < longer) for number in range(count)), initial=0)))


def _fewest(fields: OutputFields, *, evidence: bool) -> Groups:
    groups: list[list[str]] = []
    unions = size = 0
    for name, field in fields.definitions.items():
        more_unions, more_bytes = schema_unions(name, field), schema_bytes(name, field, evidence=evidence)
        is_full = not groups or len(groups[-1]) == MAX_GROUP_FIELDS
        if is_full or not fits(unions=unions + more_unions, size=size + more_bytes):
            groups.append([])
            unions = size = 0
        groups[-1].append(name)
        unions, size = unions + more_unions, size + more_bytes
    return tuple(map(tuple, groups))
