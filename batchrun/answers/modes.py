"""The modes of asking for an answer: what each adds to a request, and how each reads the reply."""

from typing import Any

from batchrun.answers.form import DEFAULT_MODE, AnswerForm
from batchrun.answers.json_text import parsed
from batchrun.reply import Reply


def read(form: AnswerForm, reply: Reply) -> Any:
    """Take the value out of a reply. Numbers are int and Decimal, as they are written. Raises UnusableError."""
    assert form.mode == DEFAULT_MODE
    return parsed(reply.text)
