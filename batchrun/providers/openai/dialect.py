"""How a server is spoken to: in the words of Chat Completions or of Responses, with or without a schema."""

from dataclasses import dataclass
from typing import Any

from batchrun.providers.anthropic.tool_instead import answered_in_text, asked_by_tool, asks_by_schema
from batchrun.providers.openai.chat import chat_body
from batchrun.providers.openai.completion import message_of_completion
from batchrun.providers.openai.responses import completion_of, responses_body


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one server is spoken to: pure translations of requests and answers."""

    has_responses: bool
    is_structured: bool
    is_openais: bool

    @property
    def path(self) -> str:
        """Where requests go, behind the base URL."""
        return "responses" if self.has_responses else "chat/completions"

    def body(self, params: dict[str, Any]) -> dict[str, Any]:
        """Say a Messages body in the words of the server."""
        asked = asked_by_tool(params, "forced") if self._is_by_tool(params) else params
        body = chat_body(asked, is_openais=self.is_openais)
        return responses_body(body) if self.has_responses else body

    def message(self, params: dict[str, Any], answer: Any) -> Any:
        """Say the answer to a Messages body in the words of the Messages API, without trust."""
        message = message_of_completion(completion_of(answer) if self.has_responses else answer)
        return answered_in_text(message) if self._is_by_tool(params) else message

    def _is_by_tool(self, params: dict[str, Any]) -> bool:
        return asks_by_schema(params) and not self.is_structured
