"""What people have corrected, put into the rows of the output; the values that the model gave stay beside."""

import json
from collections.abc import Sequence
from typing import Any

CORRECTIONS = """
select json_group_array(json_array(field, verdict, value, reviewer, strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch')))
from (select v.field, v.verdict, v.value, v.reviewer, v.at, max(v.review_no)
    from reviews v join audits a using (audit_no)
    where a.job = {table}.job and v.doc_id = {table}.doc_id and v.request_id = {request_id} group by v.field)
where verdict != 'accepted' having count(*)
"""
"""The corrections of an answer as JSON, or null: SQLite takes the other columns from the row that has the maximum."""


def corrected(row: Sequence[Any], *, is_told: bool) -> Sequence[Any]:
    """Put the corrections, the last column, into the answer and the findings of a row.

    Without `is_told` the output has no column for corrections, and the answer stays what the model gave.
    """
    *kept, corrections = row
    if not corrections or not is_told:
        return kept
    doc_id, answer, *middle, findings = kept
    values, told = json.loads(answer), {}
    for field, verdict, value, reviewer, at in json.loads(corrections):
        told[field] = {"model": values.get(field), "verdict": verdict, "by": reviewer, "at": at}
        if value is not None:
            values[field] = json.loads(value)
    found = {**(json.loads(findings) if findings else {}), "corrections": told}
    return [doc_id, json.dumps(values, ensure_ascii=False), *middle, json.dumps(found, ensure_ascii=False)]
