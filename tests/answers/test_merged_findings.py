"""What is known of a merged answer: from the part that gave each value, entry by entry."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batchrun.answers.findings import Findings
from batchrun.answers.merge import MergeRule, merge
from batchrun.answers.merged_findings import PartFound, merged_findings
from batchrun.answers.merged_lists import name_of

Output = dict[str, Any]


def found(rules: Mapping[str, MergeRule], *parts: tuple[Output, Findings], overlapping: bool = True) -> Findings:
    merged = merge([output for output, _ in parts], rules, overlapping=overlapping)
    return merged_findings(merged, [PartFound(*part) for part in parts], rules)


def quoted(*texts: str) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]


def test_a_value_has_the_findings_of_the_part_that_gave_it() -> None:
    rules = {"term": MergeRule("first"), "law": MergeRule("last")}
    first = Findings(
        2, 1, {"law": "law: not a text"}, {"term": "24 months"}, {"term": {"text": "1"}, "law": {"text": "1"}}
    )
    second = Findings(1, 0, {}, {"law": "Danish", "term": "36"}, {"term": {"text": "2"}, "law": {"text": "2"}})

    merged = found(rules, ({"term": 24, "law": None}, first), ({"term": 36, "law": "DK"}, second))

    assert merged == Findings(
        attempts=3,
        repairs=1,
        originals={"term": "24 months", "law": "Danish"},
        evidence={"term": {"text": "1", "part": 1}, "law": {"text": "2", "part": 2}},
    )


def test_null_in_all_parts_has_the_findings_of_the_part_in_which_it_became_null() -> None:
    told = Findings(1, 0, {"term": "term: no quote"}, {}, {"term": {"status": "missing"}})
    none = Findings(1, evidence={"term": {"status": "none"}})

    merged = found({"term": MergeRule("first")}, ({"term": None}, none), ({"term": None}, told))

    assert merged.problems == {"term": "term: no quote"}
    assert merged.evidence == {"term": {"status": "missing", "part": 2}}


def test_entries_have_the_findings_of_their_own_parts() -> None:
    first = (
        {"parties": ["A", "B"]},
        Findings(1, originals={"parties[1].x": "b"}, evidence={"parties": quoted("A", "B")}),
    )
    second = (
        {"parties": ["B", "C"]},
        Findings(1, originals={"parties[0]": "b2", "parties[1]": "c"}, evidence={"parties": quoted("B2", "C")}),
    )

    merged = found({"parties": MergeRule("all")}, first, second)

    assert [(one["text"], one["part"]) for one in merged.evidence["parties"]] == [("A", 1), ("B", 1), ("C", 2)]
    assert merged.originals == {"parties[1].x": "b", "parties[2]": "c"}


def test_equal_entries_of_one_part_keep_their_own_quotes() -> None:
    part = ({"sums": [5, 5]}, Findings(1, evidence={"sums": quoted("here", "there")}))

    merged = found({"sums": MergeRule("concat")}, part, ({"sums": [5]}, Findings(1, evidence={"sums": quoted("end")})))

    assert [one["text"] for one in merged.evidence["sums"]] == ["here", "there", "end"]


def test_an_entry_that_parts_fill_has_the_quote_of_the_first_part() -> None:
    rules = {"parties": MergeRule("all", ("name",))}
    first = ({"parties": [{"name": "A", "seat": None}]}, Findings(1, evidence={"parties": quoted("A")}))
    second = ({"parties": [{"name": "A", "seat": "Oslo"}]}, Findings(1, evidence={"parties": quoted("A of Oslo")}))

    assert found(rules, first, second).evidence == {"parties": [{"text": "A", "part": 1}]}


def test_a_list_that_one_part_gave_keeps_its_evidence() -> None:
    part = ({"sums": [1, 2]}, Findings(1, originals={"sums[1]": "two"}, evidence={"sums": quoted("1", "2")}))

    merged = found({"sums": MergeRule("first")}, ({"sums": []}, Findings(1)), part)

    assert merged.evidence == {"sums": [{"text": "1", "part": 2}, {"text": "2", "part": 2}]}
    assert merged.originals == {"sums[1]": "two"}


def test_a_part_without_evidence_leaves_its_entries_without() -> None:
    part = ({"sums": [1]}, Findings(1, evidence={"sums": quoted("1")}))

    merged = found({"sums": MergeRule("concat")}, part, ({"sums": [2]}, Findings(1)))

    assert merged.evidence == {"sums": [{"text": "1", "part": 1}, {"part": 2}]}


ENTRIES = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("ab\0"), "seat": st.sampled_from(["", None, "x", "y"])})
)


@given(parts=st.lists(ENTRIES, min_size=1, max_size=4), key=st.sampled_from([(), ("name",), ("seat",)]))
def test_every_entry_has_the_quote_of_an_entry_of_its_name(parts: Sequence[list[Any]], key: tuple[str, ...]) -> None:
    rules = {"parties": MergeRule("all", key)}
    given_parts = [
        ({"parties": entries}, Findings(1, evidence={"parties": [{"entry": entry} for entry in entries]}))
        for entries in parts
    ]

    merged = merge([output for output, _ in given_parts], rules)
    told = found(rules, *given_parts).evidence.get("parties", [])

    assert [name_of(one["entry"], key) for one in told] == [name_of(one, key) for one in merged.values["parties"]]
    items = merged.provenance["parties"].items or ()
    assert [one["part"] for one in told] == [numbers[0] for numbers in items]
