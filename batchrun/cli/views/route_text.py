"""The routes of a plan side by side, the reason for the chosen route, and the use of the prompt cache on that route."""

from batchrun.catalog.money import dollars
from batchrun.catalog.provider_prices import OWN_LIMITS
from batchrun.catalog.rate_limits import LimitOrigin
from batchrun.cli.views.format import duration, hours, tokens, with_bounds
from batchrun.escaping import escape_control
from batchrun.strategy.model_chain import ModelChain
from batchrun.strategy.plan import Plan
from batchrun.strategy.prompt_caching import Caching
from batchrun.strategy.routes import Forecast


def route_lines(plan: Plan, chain: ModelChain) -> list[str]:
    """Each route with its cost and time; the chosen one is marked."""
    width = max(len(dollars(one.estimate.cost_nusd.mean)) for one in plan.forecasts)
    lines = []
    for one in plan.forecasts:
        mark = "> " if one is plan.chosen else "  "
        cost = with_bounds(one.estimate.cost_nusd, dollars, width=width)
        bound = f"; the limit is {one.duration.binding}" if one.duration else ""
        lines.append(f"{mark}{one.name:<12}  {cost}   {time_words(one)}{bound}")
    lines.append(f"route    {plan.chosen.name}: {plan.choice.reason}")
    return [*lines, *cache_lines(plan), *limit_lines(plan.chosen, chain)]


def time_words(forecast: Forecast) -> str:
    """How long a route takes."""
    if forecast.at_most_s is None:
        return f"about {duration(forecast.seconds)}"
    return f"as a rule less than {hours(forecast.seconds)}, at most {hours(forecast.at_most_s)}"


def limit_lines(chosen: Forecast, chain: ModelChain) -> list[str]:
    """The rate limits that a stream keeps, the origin of the limits, and the models that share them."""
    if chosen.duration is None:
        return []
    first, sharing = chain.models[0], chain.sharing(chain.models[0])
    limits, origin = first.limits, str(first.limits.origin("requests_per_minute"))
    if first.price.limits == OWN_LIMITS and origin == LimitOrigin.START_TIER:
        return ["limits   none are known: answers of 429 teach the rate"]
    if len(sharing) > 1:
        origin += f", shared by {' and '.join(map(escape_control, sharing))}"
    return [
        f"limits   {limits.requests_per_minute:,} requests, {tokens(limits.input_tokens_per_minute)} input,"
        f" {tokens(limits.output_tokens_per_minute)} output tokens a minute: {origin}"
    ]


def cache_lines(plan: Plan) -> list[str]:
    """Whether the prompt is cached on the chosen route, why, and where caching pays."""
    caching = plan.caching[plan.choice.route]
    documents = document_lines(caching)
    if caching.ttl is None:
        off = f"off: {caching.reason}"
        saved = break_even_lines(plan, caching) if documents else []
        return [*documents, f"         otherwise {off}", *saved] if documents else [f"cache    {off}"]
    line = f"cache    for {caching.ttl}: {caching.reason}"
    return [line, *documents, *break_even_lines(plan, caching)] if plan.chosen.caching else [line]


def document_lines(caching: Caching) -> list[str]:
    """For how long documents are cached that several requests ask about; no line if documents are not cached."""
    if caching.document_ttl is None:
        return []
    begin = "cache    " if caching.ttl is None else " " * 9
    words = f"each document for {caching.document_ttl}: its first request writes it, and the others read it"
    return [begin + words]


def break_even_lines(plan: Plan, caching: Caching) -> list[str]:
    """How much caching saves, and from which number of requests on."""
    plain = next(one for one in plan.forecasts if one.route is plan.choice.route and one.caching is None)
    saved = plain.estimate.cost_nusd.mean - plan.chosen.estimate.cost_nusd.mean
    words = f"saves about {dollars(saved)}" if saved >= 0 else f"costs about {dollars(-saved)} more"
    if caching.ttl is None:
        return [f"         {words}"]
    if caching.break_even is None:
        return [f"         {words}; the cache never saves money with this model"]
    return [
        f"         {words}; the cache saves money from {caching.break_even_requests} requests on,"
        f" if more than {caching.break_even:.0%} of them read from it"
    ]
