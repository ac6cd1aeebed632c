"""The failure table: what every failure does to a streamed document, to one in a batch, and to each free call.

The cells, with two attempts allowed (`retry.max_attempts`) and while others are answered:

- `rejected 1`, `errored 2`: the document's outcome, and how often it was sent until then. Two times: each failure costs
  an attempt. `waits`: it is sent again and again, and no attempt is spent.
- `outage`: everybody waits at once, and no attempt is spent.
- `stop 5`: the document stays pending, and the job stops with this exit code; `spent`: the document has lost an
  attempt by that. `batch 5`: the job stops for one batch, once the others are taken care of.
- At the creation of a batch: `later`: it is created later; `halved`: smaller ones are tried; `in doubt`: it may exist,
  and is looked for.
- Of other calls: `later`: asked again when the next poll is due; `again`: asked again at once, a few times.
- `-`: it cannot come there.
"""

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from failure_bench import (
    MAX_ATTEMPTS,
    BatchBench,
    cancel_asked,
    created,
    downloaded,
    in_a_batch,
    listed,
    named,
    retrieved,
    streamed,
)

from batchrun.cli.doctor.api import ask_about_one
from batchrun.cli.doctor.check import Subject, Verdict
from batchrun.planning.api_lookups import NO_MODELS, count_online, notices_online
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.batch_parsing import result_from
from batchrun.reply import Failure
from batchrun.request import Request

TABLE = """
failure                             | a stream   | a batch       | create   | list   | retrieve | cancel  | results
credentials                         | stop 5     | -             | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
# Nothing was sent: a setting has to be mended, whatever was answered before.
misconfigured                       | stop 5     | -             | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
# Nothing was sent: no attempt is spent. Where nothing was answered in this run before, the job stops at once.
unreachable                         | waits      | -             | later    | stop 5 | stop 5   | later   | again
timeout                             | errored 2  | -             | in doubt | later  | later    | later   | again
dropped                             | errored 2  | -             | in doubt | later  | later    | later   | again
# In a batch it was billed for certain: it is never sent again unasked, so that nothing is paid twice.
malformed                           | errored 2  | errored 1     | in doubt | later  | later    | later   | again
# Each costs an attempt; what was canceled by batchrun itself costs none.
expired                             | -          | expired 2     | -        | -      | -        | -       | -
canceled                            | -          | canceled 2    | -        | -      | -        | -       | -
none                                | errored 2  | errored 2     | in doubt | later  | later    | later   | again
none new_error                      | errored 2  | errored 2     | in doubt | later  | later    | later   | again
# Nothing that is asked again at once would be answered otherwise.
100                                 | errored 1  | errored 1     | in doubt | later  | later    | later   | later
200 api_error                       | errored 1  | errored 1     | in doubt | later  | later    | later   | later
200 overloaded_error                | errored 2  | errored 2     | in doubt | later  | later    | later   | again
# The address is not the API's. No redirect is followed, and every other request would meet the same.
300                                 | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
307                                 | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
399                                 | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
400 invalid_request_error           | rejected 1 | rejected 1    | stop 4   | later  | later    | later   | later
400 no credit                       | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
400 usage limit                     | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
400 some_other_code                 | rejected 1 | rejected 1    | stop 4   | later  | later    | later   | later
# A gateway's own spend stop, with any status; what a message quotes is not what it says.
400 of LiteLLM                      | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
429 of LiteLLM                      | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
401 of an older LiteLLM             | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
400 of LiteLLM before LiteLLM       | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
400 of LiteLLM before the API       | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
400 of LiteLLM's users              | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
403 of OpenRouter                   | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
429 of OpenAI                       | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
412                                 | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
400 of a quotation                  | rejected 1 | rejected 1    | stop 4   | later  | later    | later   | later
400 of a length                     | rejected 1 | rejected 1    | halved   | later  | later    | later   | later
400 image_dimensions_too_large      | rejected 1 | rejected 1    | halved   | later  | later    | later   | later
400 organization_on_hold            | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
# The account's settings would refuse every other request, so no document is to blame on either route.
400 organization_type_not_supported | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
400 workspace_human_review_disabled | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
400 workspace_policy_violation      | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
400 cmek_key_disabled               | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
401                                 | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
402                                 | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
402 some_code                       | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
403                                 | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
403 no credit                       | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
403 workspace_policy_violation      | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
# The model has answered, and the batch was there a moment ago: that there is no such thing is doubt.
404                                 | outage     | stop 5        | stop 5   | later  | later    | later   | later
404 workspace_not_found             | outage     | stop 5        | stop 5   | later  | later    | later   | later
# Every 4xx that has no row of its own says no to this request, on either route: the same no would come again.
405                                 | rejected 1 | rejected 1    | stop 4   | later  | later    | later   | later
# A proxy on the way asks for credentials, and would ask every other request.
407                                 | stop 5     | stop 5        | stop 5   | stop 5 | stop 5   | stop 5  | stop 5
408                                 | errored 2  | errored 2     | in doubt | later  | later    | later   | later
409                                 | errored 2  | errored 2     | in doubt | later  | later    | later   | later
# The code decides, whatever the status: the batch may exist.
409 change_outcome_unknown          | errored 2  | errored 2     | in doubt | later  | later    | later   | again
410                                 | rejected 1 | rejected 1    | stop 4   | later  | later    | later   | later
413                                 | rejected 1 | rejected 1    | halved   | later  | later    | later   | later
418                                 | rejected 1 | rejected 1    | stop 4   | later  | later    | later   | later
422                                 | rejected 1 | rejected 1    | stop 4   | later  | later    | later   | later
# No document is to blame for a limit, and none fails by it: in a batch as in a stream an attempt stays unspent.
429                                 | waits      | stop 5        | later    | later  | later    | later   | later
429 retry-after                     | waits      | stop 5        | later    | later  | later    | later   | later
429 ramp_limit_exceeded             | waits      | stop 5        | later    | later  | later    | later   | later
# A stop costs no attempt, whatever the status is that it comes with.
429 enforced_spend_limit_reached    | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
429 contract_spend_limit_reached    | stop 4     | stop 4        | stop 4   | stop 4 | stop 4   | stop 4  | stop 4
429 workspace_limit_reached         | waits      | stop 5        | later    | later  | later    | later   | later
451                                 | rejected 1 | rejected 1    | stop 4   | later  | later    | later   | later
500                                 | errored 2  | errored 2     | in doubt | later  | later    | later   | again
500 usage limit                     | errored 2  | errored 2     | in doubt | later  | later    | later   | again
502                                 | errored 2  | errored 2     | in doubt | later  | later    | later   | again
503                                 | errored 2  | errored 2     | in doubt | later  | later    | later   | again
503 change_outcome_unknown          | errored 2  | errored 2     | in doubt | later  | later    | later   | again
503 authorization_check_unavailable | errored 2  | errored 2     | in doubt | later  | later    | later   | again
503 cmek_key_unreachable            | errored 2  | errored 2     | in doubt | later  | later    | later   | again
504                                 | errored 2  | errored 2     | in doubt | later  | later    | later   | again
529                                 | errored 2  | errored 2     | in doubt | later  | later    | later   | again
# No status of HTTP is above 599: whoever answers so says no more than a gateway that fails (RFC 9110, 15).
600                                 | errored 2  | errored 2     | in doubt | later  | later    | later   | again
999                                 | errored 2  | errored 2     | in doubt | later  | later    | later   | again
"""

ROWS = {
    name.strip(): [cell.strip() for cell in cells]
    for name, *cells in (line.split("|") for line in TABLE.strip().splitlines()[1:] if not line.startswith("#"))
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_every_failure_does_what_its_row_says(name: str, tmp_path: Path) -> None:
    failure, row = named(name), ROWS[name]
    found = [
        streamed(failure) if row[0] != "-" else "-",
        *(
            come(failure, tmp_path) if told != "-" else "-"
            for come, told in zip(
                (in_a_batch, created, listed, retrieved, cancel_asked, downloaded), row[1:], strict=True
            )
        ),
    ]

    assert found == row


@pytest.mark.parametrize("counted", [False, True], ids=["not counted", "counted"])
@pytest.mark.parametrize("names", ["ab", "abc"])
def test_a_batch_of_which_nobody_is_answered_is_an_outage_and_fails_no_document(
    names: str, counted: bool, tmp_path: Path
) -> None:
    """A streamed document does not fail either while the API answers nobody. One or two may be odd themselves."""
    bench = BatchBench(tmp_path, list(names), counted=counted)
    while "pending" in bench.statuses.values() and not bench.halted:
        bench.run()

    outage = counted and len(names) > 2
    assert set(bench.statuses.values()) == {"pending" if outage else "errored"}
    assert ("does not answer" in str(bench.halted)) == outage
    assert len(bench.remote) == MAX_ATTEMPTS


# A line of a batch's results tells the type of an error, and no status.
TYPES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    "conflict_error": None,
    "new_error": None,
    None: None,
}


@pytest.mark.parametrize(("error_type", "status"), TYPES.items())
def test_a_result_that_errored_has_the_status_of_its_type(error_type: str | None, status: int | None) -> None:
    error = {"type": "error", "error": {"type": error_type, "message": "words"}}
    line = json.dumps({"custom_id": "c", "result": {"type": "errored", "error": error}})
    failure = result_from(line.encode()).failure

    assert failure
    assert (failure.status, failure.error_type) == (status, error_type)


# --- look-ups before anything is sent


@dataclass
class Refusing:
    """An API that refuses to count and to tell of models, and the factory of its clients."""

    failure: Failure

    def check(self) -> None:
        """There is a key."""

    def make_counter(self, *, timeout_s: float) -> Any:
        return self

    def make_models(self, *, timeout_s: float) -> Any:
        return self

    async def count(self, request: Request) -> int:
        raise AttemptError(self.failure)

    async def life(self, name: str) -> Any:
        raise AttemptError(self.failure)

    async def close(self) -> None:
        """Nothing is open."""


LOOKUPS = [name for name, row in ROWS.items() if row[2] != "-"]


MISSING = {"404", "405", "410", "malformed"}
"""What an address answers that has no such service, as a gateway may not."""


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_look_up_that_fails_stops_nothing(name: str) -> None:
    api, today = Refusing(named(name)), date(2026, 11, 21)
    request = Request(b"{}", "claude-x", max_tokens=1)

    assert asyncio.run(count_online(api, [request])).problem == api.failure.message
    notices = asyncio.run(notices_online(api, ["claude-x", "claude-y"], today=today))
    assert notices == ((NO_MODELS,) if name in MISSING else ())
    with pytest.raises(AttemptError):
        asyncio.run(ask_about_one(api, "claude-x", Subject(None, None, False, today)))


def test_only_a_404_that_names_the_model_speaks_of_the_model() -> None:
    failure = replace(named("404 not_found_error"), message="model: claude-x")
    api, today = Refusing(failure), date(2026, 11, 21)

    notices = asyncio.run(notices_online(api, ["claude-x"], today=today))

    assert notices == ("the API has no model claude-x for this key",)
    (check,) = asyncio.run(ask_about_one(api, "claude-x", Subject(None, None, False, today)))
    assert check.verdict is Verdict.BROKEN
