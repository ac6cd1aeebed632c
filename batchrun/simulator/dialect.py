"""How requests are spoken: what a body means in the words of the Messages API, and how a reply is said."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from batchrun.simulator.requests.model_cards import ModelCard, find_model
from batchrun.simulator.requests.parameters import FindModel, Params, parse
from batchrun.simulator.usage.prompt_cache import SizedPrompt, size_prompt

Body = Mapping[str, Any]


def _as_it_is(message: Body, _params: Params, _created: int) -> Body:
    return message


class Dialect(NamedTuple):
    """One dialect; the default is the Messages API itself, which is what the simulator thinks in."""

    read: Callable[[bytes], Params] = parse  # Messages parameters; raises ApiRefusal
    find: FindModel = find_model
    write: Callable[[Body, Params, int], Body] = _as_it_is  # from a message, its parameters and the time in seconds
    free_writes: bool = False  # whether what is written to the prompt cache costs as much as any input

    def sized(self, params: Params, card: ModelCard) -> SizedPrompt:
        """Count a prompt. Raises ApiRefusal for one that the context window does not hold."""
        return replace(size_prompt(params, card), free_writes=self.free_writes)


MESSAGES = Dialect()
