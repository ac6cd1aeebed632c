"""Spend stops of gateways, in the shapes that their documentation and their users show, through the real client."""

from typing import Any

import pytest
from loopback import responding
from message_server import failure_of

from batchrun.execution.retry_policy import FailureKind, kind_of

LITELLM = "Budget has been exceeded! Current cost: 0.0010747, Max budget: 0.0"
Body = dict[str, Any]


def error(message: str = "no", **more: object) -> Body:
    return {"error": {"message": message, **more}}


STOPS: dict[str, tuple[int, Body]] = {
    "LiteLLM": (400, error(LITELLM, type="budget_exceeded", param=None, code="400")),
    "LiteLLM of 2026": (429, error(LITELLM, type="budget_exceeded", param=None, code="429")),
    "LiteLLM of 2024": (400, error(LITELLM, type="auth_error", param=None, code=400)),
    "LiteLLM with words of its own": (429, error("Ask Ms Smith", type="budget_exceeded")),
    "LiteLLM in the API's shape": (400, {"type": "error"} | error(LITELLM, type="invalid_request_error")),
    "OpenRouter's credit": (402, error("Insufficient credits", code=402)),
    "OpenRouter's key": (403, error("Key limit exceeded (weekly limit)", code=403)),
    "Portkey": (412, {"status": "failure"} | error("usage limit exceeded", type=None, code=None)),
    "LangWatch": (402, error(type="budget_exceeded", code="budget.project.exceeded")),
    "OpenAI's quota": (429, error("check your plan", type="insufficient_quota", code="insufficient_quota")),
    "OpenAI's limit": (429, error(type="requests", code="project_spend_limit_exceeded")),
    "a key's budget": (429, error(type="rate_limit", code="key_budget_exceeded")),
}
OTHERS: dict[str, tuple[int, Body, FailureKind]] = {
    "a rate": (429, error("Too many requests", type="rate_limit_error", code="429"), FailureKind.LATER),
    "a quotation": (400, error(f"the text '{LITELLM}' is not allowed", code="400"), FailureKind.REJECTED),
    "another code": (400, error(LITELLM, code="invalid_value"), FailureKind.REJECTED),
    "a code of no form": (400, error(code={"a": 1}), FailureKind.REJECTED),
    "a server's own error": (500, error(LITELLM), FailureKind.SILENT),
}


@pytest.mark.parametrize("gateway", STOPS)
def test_a_gateways_spend_stop_is_a_spend_stop(gateway: str) -> None:
    status, body = STOPS[gateway]
    assert kind_of(failure_of(responding(body, status=status))) is FailureKind.MONEY


@pytest.mark.parametrize("case", OTHERS)
def test_what_only_looks_like_one_is_none(case: str) -> None:
    status, body, kind = OTHERS[case]
    assert kind_of(failure_of(responding(body, status=status))) is kind


def test_a_page_is_no_code() -> None:
    assert failure_of(responding("<html>", status=502)).error_code is None
