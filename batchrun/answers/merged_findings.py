"""What was found out about the answers over a document's parts, for the answer that is merged from them."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from batchrun.answers.field_problems import field_of
from batchrun.answers.findings import Findings
from batchrun.answers.merge import Merged, MergeRule, Origin
from batchrun.answers.merged_lists import NAMESAKES, agree, name_of

_ENTRY = re.compile(r"\[([0-9]{1,9})\](.*)", re.DOTALL)
"""What follows the name of a list in the path of a value: the number of the entry, and the rest of the path."""


@dataclass(frozen=True, slots=True)
class PartFound:
    """The answer of a part, and what was found out about the answer."""

    output: Mapping[str, Any]
    findings: Findings


@dataclass(frozen=True, slots=True)
class _Source:
    """Where an entry of a merged list comes from."""

    part: int
    """The number of the part, from 1 on."""
    at: int
    """The place of the entry in the list of the part, from 0 on."""


def merged_findings(merged: Merged, parts: Sequence[PartFound], rules: Mapping[str, MergeRule]) -> Findings:
    """Merge the findings of all parts: those of each field come from the part that gave the value.

    The agreement of a field is the least one of all parts that gave the value.
    """
    problems: dict[str, str] = {}
    originals: dict[str, Any] = {}
    evidence: dict[str, Any] = {}
    agreement: dict[str, float] = {}
    by_field = [_by_field(part.findings.originals) for part in parts]
    for name, origin in merged.provenance.items():
        giver = _giver(name, origin, parts)
        found = parts[giver - 1].findings
        sources = list(_sources(name, merged.values[name], origin, parts, rules[name].key))
        if name in found.problems:
            problems[name] = found.problems[name]
        if origin.items is None:
            originals |= by_field[giver - 1].get(name, {})
        for number in origin.parts if origin.items else ():
            places = {source.at: place for place, source in enumerate(sources) if source.part == number}
            originals |= _moved(by_field[number - 1].get(name, {}), name, places)
        if name in found.evidence:
            evidence[name] = _evidence(name, giver, sources, parts)
        shares = [parts[number - 1].findings.agreement.get(name) for number in origin.parts or (giver,)]
        if told := [share for share in shares if share is not None]:
            agreement[name] = min(told)
    return Findings(
        attempts=sum(part.findings.attempts for part in parts),
        repairs=sum(part.findings.repairs for part in parts),
        problems=problems,
        originals=originals,
        evidence=evidence,
        votes=max(part.findings.votes for part in parts),
        agreement=agreement,
    )


def _giver(name: str, origin: Origin, parts: Sequence[PartFound]) -> int:
    """Return the first part that gave the value; for a value that none gave, the first in which it became null."""
    nulled = (number for number, part in enumerate(parts, 1) if name in part.findings.problems)
    return origin.parts[0] if origin.parts else next(nulled, 1)


def _sources(
    name: str, value: Any, origin: Origin, parts: Sequence[PartFound], key: Sequence[str]
) -> Iterator[_Source]:
    """Yield where each entry of a list comes from that is put together; nothing for any other value."""
    if not origin.items:
        return
    lists = {number: parts[number - 1].output[name] for number in origin.parts}
    free = {number: _places(entries, key) for number, entries in lists.items()}
    for entry, (number, *_) in zip(value, origin.items, strict=True):
        places = free[number][name_of(entry, key)]
        fitting = (at for at in islice(places, NAMESAKES) if agree(lists[number][at], entry))
        at = next(fitting, places[0])
        places.remove(at)
        yield _Source(number, at)


def _places(entries: Sequence[Any], key: Sequence[str]) -> Mapping[Hashable, list[int]]:
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for at, entry in enumerate(entries):
        places[name_of(entry, key)].append(at)
    return places


def _evidence(name: str, giver: int, sources: Sequence[_Source], parts: Sequence[PartFound]) -> Any:
    """Return the evidence of a field, with the part in which each passage stands."""
    told = parts[giver - 1].findings.evidence[name]
    if not isinstance(told, list):
        return {**told, "part": giver}
    if not sources:
        return [{**one, "part": giver} for one in told]
    return [{**_of_entry(name, source, parts), "part": source.part} for source in sources]


def _of_entry(name: str, source: _Source, parts: Sequence[PartFound]) -> Mapping[str, Any]:
    """Return the evidence of an entry; a part that was answered before evidence was asked for has none."""
    told = parts[source.part - 1].findings.evidence.get(name)
    return told[source.at] if isinstance(told, list) and source.at < len(told) else {}


def _by_field(originals: Mapping[str, Any]) -> Mapping[str, dict[str, Any]]:
    """Group originals by the fields in which their paths begin."""
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for path, value in originals.items():
        found[field_of(path)][path] = value
    return found


def _moved(originals: Mapping[str, Any], name: str, places: Mapping[int, int]) -> dict[str, Any]:
    """Return the originals of a part's list by their paths in the merged list."""
    found = {}
    for path, value in originals.items():
        inside = _ENTRY.fullmatch(path.removeprefix(name))
        if inside and (place := places.get(int(inside[1]))) is not None:
            found[f"{name}[{place}]{inside[2]}"] = value
    return found
