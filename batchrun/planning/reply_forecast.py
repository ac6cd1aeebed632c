"""How long a job's replies are, the part of them that is thinking, and the share that `max_tokens` cuts off."""

import math
from collections.abc import Iterator

from batchrun.answers.form import AnswerForm
from batchrun.catalog.capabilities import suited, thinks
from batchrun.catalog.price import ModelPrice
from batchrun.estimation.interval import Interval
from batchrun.estimation.reply_length import cut_share, one_reply
from batchrun.estimation.reply_length_prior import output_prior
from batchrun.job.load import JobFile
from batchrun.job.model_sections import ModelSection
from batchrun.store.ledger.past_usage import PastUse
from batchrun.strategy.plan import MOST_CUT, ReplyForecast

STEP = 256
"""A `max_tokens` that a plan proposes is a multiple of so many tokens."""


def guessed_reply(form: AnswerForm, section: ModelSection, price: ModelPrice) -> Interval:
    """Guess how long a model's replies are on average, in tokens, from the form of the answer alone."""
    model = suited(section, price)
    return whole_reply(form, model, price).capped(model.max_tokens)


def whole_reply(form: AnswerForm, model: ModelSection, price: ModelPrice) -> Interval:
    """Guess how long the replies would be if `max_tokens` cut none of them."""
    return output_prior(
        form.api_schema,
        max_tokens=math.inf,
        thinks=thinks(model, price),
        effort=model.effort or price.default_effort,
        budget_tokens=model.budget_tokens,
    )


def longest_form(job: JobFile, price: ModelPrice) -> AnswerForm:
    """Return the form of the longest reply: that of one group of fields, if they are asked in groups."""
    groups = [job.form.only(group) for group in job.form.groups]
    return max(groups, key=lambda form: whole_reply(form, job.spec.model, price).mean, default=job.form)


def reply_forecast(job: JobFile, price: ModelPrice, past: PastUse) -> ReplyForecast:
    """Forecast the replies of a job's own model from the job's past, or from the schema where there is no past."""
    model, form = job.spec.model, longest_form(job, price)
    whole = whole_reply(form, model, price)
    answer = output_prior(form.api_schema, max_tokens=math.inf, thinks=False, effort=None)
    replies = past.replies.number if past.replies else 0
    share = cut_share(one_reply(whole), most=model.max_tokens, cut=past.cut, replies=replies)
    return ReplyForecast(
        max_tokens=model.max_tokens,
        cut_share=share,
        thinking_share=1 - answer.mean / whole.mean if past.thinking_share is None else past.thinking_share,
        replies=replies,
        remedies=(*_longer(model, price, whole, past), *_shorter(form, model, price)) if share > MOST_CUT else (),
    )


def _longer(model: ModelSection, price: ModelPrice, whole: Interval, past: PastUse) -> Iterator[str]:
    """Yield the `max_tokens` that is enough for most replies, unless the model cannot write more than now."""
    wanted = max(one_reply(whole).high, 2 * model.max_tokens if past.cut else 0)
    enough = min(math.ceil(wanted / STEP) * STEP, price.max_output_tokens)
    if enough > model.max_tokens:
        yield f"max_tokens = {enough}"


def _shorter(form: AnswerForm, model: ModelSection, price: ModelPrice) -> Iterator[str]:
    """Yield the mildest setting that makes the model think so little that most replies are expected to end."""
    for setting, less in _less_thinking(model, price) if thinks(model, price) else ():
        if cut_share(one_reply(whole_reply(form, less, price)), most=model.max_tokens) <= MOST_CUT:
            yield setting
            return


def _less_thinking(model: ModelSection, price: ModelPrice) -> Iterator[tuple[str, ModelSection]]:
    """Yield the settings with which the model thinks less, the mildest first, as the job file writes them."""
    effort = model.effort or price.default_effort
    lower = price.effort_levels[: price.effort_levels.index(effort)] if effort in price.effort_levels else ()
    for name in reversed(lower):
        yield f'effort = "{name}"', model.model_copy(update={"effort": name})
    for thinking in ("between_tools", "disabled"):
        without = model.model_copy(update={"thinking": thinking, "budget_tokens": None})
        if suited(without, price).thinking == thinking:
            yield f'thinking = "{thinking}"', without
