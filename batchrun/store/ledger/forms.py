"""The forms of answers in the ledger: how requests were asked and are judged, whatever the job file says now."""

from batchrun.answers.form import AnswerForm
from batchrun.store.ledger.ledger import Ledger


def form_number(ledger: Ledger, form: AnswerForm, *, prompt_sha: str) -> int:
    """Return the number of a form, which is recorded if it is new, inside a transaction.

    `prompt_sha` is the hash of all that requests have beside their document and the form.
    """
    ledger.connection.execute(
        "insert into answer_forms (sha, prompt_sha, form) values (?, ?, ?) on conflict (sha, prompt_sha) do nothing",
        (form.sha, prompt_sha, form.as_json),
    )
    row = ledger.connection.execute(
        "select form_no from answer_forms where sha = ? and prompt_sha = ?", (form.sha, prompt_sha)
    ).fetchone()
    return int(row[0])


def form_under(ledger: Ledger, form_no: int, *, prompt_sha: str) -> AnswerForm | None:
    """Read a form by its number. Returns None for a form under another prompt."""
    row = ledger.connection.execute(
        "select form from answer_forms where form_no = ? and prompt_sha = ?", (form_no, prompt_sha)
    ).fetchone()
    return AnswerForm.from_json(row[0]) if row else None


def form_of(ledger: Ledger, form_no: int | None) -> AnswerForm:
    """Read a form by its number."""
    row = ledger.connection.execute("select form from answer_forms where form_no = ?", (form_no,)).fetchone()
    return AnswerForm.from_json(row[0])
