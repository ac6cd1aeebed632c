"""What is told of a merged answer comes from the parts that gave its values."""

from batchrun.answers.merge import Origin
from batchrun.answers.merged_findings import merged_findings
from batchrun.answers.turns import Findings

EXACT, MISSING = {"status": "exact", "pages": [2]}, {"status": "missing"}


def test_each_value_has_the_evidence_of_the_part_that_gave_it() -> None:
    first = Findings(attempts=2, repairs=1, problems={"term": "term: odd"}, evidence={"term": MISSING, "law": EXACT})
    second = Findings(originals={"term": "24"}, evidence={"term": EXACT, "law": MISSING})

    merged = merged_findings([first, second], {"term": Origin((2,)), "law": Origin((1, 2))})

    assert merged.evidence == {"term": EXACT | {"part": 2}, "law": EXACT | {"part": 1}}
    assert merged.originals == {"term": "24"}
    assert merged.problems == {}
    assert (merged.attempts, merged.repairs) == (3, 1)


def test_a_value_that_no_part_gave_keeps_the_first_problem() -> None:
    found = [Findings(), Findings(problems={"term": "term: two"}), Findings(problems={"term": "term: three"})]

    assert merged_findings(found, {"term": Origin(())}).problems == {"term": "term: two"}


def test_entries_of_a_merged_list_have_no_place_for_their_evidence() -> None:
    found = [Findings(evidence={"parties": [EXACT, MISSING]}), Findings(evidence={"parties": [EXACT]})]

    assert merged_findings(found, {"parties": Origin((1, 2), ((1,), (1, 2)))}).evidence == {}
