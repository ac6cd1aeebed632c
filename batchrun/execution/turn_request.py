"""The request as a turn asks it: for some of its fields, with more tokens, or with a reply that is shown again."""

from batchrun.answers.form import AnswerForm
from batchrun.answers.modes import MODES
from batchrun.answers.progress import Turn
from batchrun.providers.anthropic.wire import with_asking, with_follow_up, with_max_tokens
from batchrun.request import Request
from batchrun.strategy.model_chain import ChainModel


def turn_request(request: Request, chain_model: ChainModel, form: AnswerForm, turn: Turn, shown: str | None) -> Request:
    """Make the request of a turn to a model, from the whole request to the model; the request keeps its id.

    `shown` is the body of the reply that the turn shows. Without the reply the turn is asked as if it were the first.
    """
    if turn.fields:
        mode, choice = MODES[form.mode], chain_model.tool_choice
        request = with_asking(request, mode.ask(form, choice), mode.ask(form.only(turn.fields), choice))
    if turn.max_tokens is not None:
        request = with_max_tokens(request, turn.max_tokens)
    return with_follow_up(request, shown, turn.said, is_error=turn.repairs > 0) if shown else request
