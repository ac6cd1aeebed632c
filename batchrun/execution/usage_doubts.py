"""Usage that cannot be: more than the request allows. Such usage counts as not told, and its worst case is held."""

from dataclasses import replace

from batchrun.catalog.price import ModelPrice
from batchrun.estimation.estimate import UNSEEN_TOKENS, UNSEEN_WITH_TOOL
from batchrun.estimation.text_class import TextClass
from batchrun.events import Listener, UsageDoubted
from batchrun.providers.anthropic.wire import has_tool
from batchrun.reply import Reply, Usage
from batchrun.request import Request


def fits_request(usage: Usage, request: Request, price: ModelPrice, text_class: TextClass) -> bool:
    """Return whether a request can have used so much: at most a token for each byte, and `max_tokens` of output.

    The bytes of a file that is sent as it is say nothing of its tokens.
    """
    most_prompt_tokens = price.context_window
    unseen_tokens = UNSEEN_WITH_TOOL if has_tool(request) else UNSEEN_TOKENS
    if not text_class.is_native:
        most_prompt_tokens = min(max(len(request.body), len(request.wire)) + unseen_tokens, most_prompt_tokens)
    return usage.output_tokens <= request.max_tokens and usage.prompt_tokens <= most_prompt_tokens


def fits_reservation(usage: Usage, reserved_tokens: int | None) -> bool:
    """Return whether a member of a batch can have used so much; its bytes are not at hand, but what was reserved is."""
    return not reserved_tokens or usage.prompt_tokens + usage.output_tokens <= reserved_tokens


class UsageDoubts:
    """The doubts of one run, which are told once."""

    def __init__(self, tell: Listener) -> None:
        self._tell = tell
        self._told = False

    def without_usage(self, reply: Reply) -> Reply:
        """Return the reply as one that tells no usage."""
        if reply.usage and not self._told:
            self._told = True
            self._tell(UsageDoubted(reply.model, reply.usage))
        return replace(reply, usage=None)
