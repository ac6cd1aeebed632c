"""What was found out about the answers over the parts of one document, as it is told of the merged answer."""

from collections.abc import Mapping, Sequence

from batchrun.answers.merge import Origin
from batchrun.answers.turns import Findings


def merged_findings(found: Sequence[Findings], provenance: Mapping[str, Origin]) -> Findings:
    """Tell of each value what is told of the part that gave the value, and of its evidence in which part it stands.

    Of a value that no part gave, the first problem counts. Entries of lists are merged from several parts, so that the
    evidence of single entries has no place in the merged list.
    """
    numbers = {name: _part_of(name, origin, found) for name, origin in provenance.items()}
    by_field = {name: found[number - 1] for name, number in numbers.items()}
    return Findings(
        attempts=sum(max(1, one.attempts) for one in found),
        repairs=sum(one.repairs for one in found),
        problems={name: one.problems[name] for name, one in by_field.items() if name in one.problems},
        originals={name: one.originals[name] for name, one in by_field.items() if name in one.originals},
        evidence={
            name: {**one.evidence[name], "part": numbers[name]}
            for name, one in by_field.items()
            if isinstance(one.evidence.get(name), dict)
        },
    )


def _part_of(name: str, origin: Origin, found: Sequence[Findings]) -> int:
    """Return the number of the part whose findings count for a field."""
    if origin.parts:
        return origin.parts[0]
    return next((number for number, one in enumerate(found, 1) if name in one.problems), 1)
