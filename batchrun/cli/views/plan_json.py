"""A plan for programs: one JSON object, to which fields may be added and of which none is renamed."""

from typing import Any

from batchrun.cli.next_command import typed_path
from batchrun.cli.views.caps_text import caps_as_json
from batchrun.cli.views.cascade_text import cascade_as_json
from batchrun.cli.views.format import key_fields
from batchrun.cli.views.plan_text import WORDS, warnings
from batchrun.errors import BatchrunError
from batchrun.report.summary_json import interval_fields
from batchrun.strategy.plan import PdfCost, Plan, ReplyForecast
from batchrun.strategy.prompt_caching import Caching
from batchrun.strategy.refusal import budget_left
from batchrun.strategy.routes import Forecast
from batchrun.workflow.open_job import OpenJob


def plan_as_json(plan: Plan, opened: OpenJob, refused: BatchrunError | None) -> dict[str, Any]:
    """The plan as one JSON object. Fields may be added, and none is renamed."""
    estimate = plan.estimate
    left_nusd = budget_left(estimate=estimate, spent_nusd=plan.spent_nusd, cap_nusd=plan.cap_nusd)
    return {
            "v": 1,
            "job": plan.job,
            "job_file": typed_path(opened.job.path),
            "options": list(plan.typed[1:]),
            "digest": plan.digest,
            "tags": dict(plan.tags),
            "fingerprint": plan.fingerprint,
            "model": plan.model,
            "ladder": [chain_model.price.name for chain_model in opened.chain.models],
            "cascade": cascade_as_json(plan.cascade, opened) if plan.cascade else None,
            "route": str(plan.choice.route),
            "route_reason": plan.choice.reason,
            "chosen": plan.chosen.name,
            "routes": {one.name: route_as_json(one) for one in plan.forecasts},
            "cache": cache_as_json(plan.caching[plan.choice.route]),
            "simulated": opened.simulated,
            "documents": {
                "total": plan.documents,
                "to_send": plan.to_send,
                **{kind.value: plan.counts[kind] for kind in WORDS},
                "changed_by_job_file": plan.same_text,
                "paid_before": plan.paid_before,
                "read_by_older": plan.older,
                "requests": plan.estimate.requests,
                "requests_each": plan.turns,
                "votes_each": interval_fields(plan.votes) if plan.votes else None,
                "asked_in_parts": plan.in_parts[0],
                "parts": plan.in_parts[1],
                "merging_requests": plan.merging,
                "gone_rows": plan.gone,
            },
            "tokens": {"input": interval_fields(estimate.input), "output": interval_fields(estimate.output),
                       "fixed_per_request": round(estimate.fixed_tokens)},
            "replies": reply_as_json(plan.reply) if plan.reply else None,
            "partial_answers": plan.partial_answers,
            "estimate_usd": {**interval_fields(estimate.cost_usd), "confidence": estimate.confidence},
            "before": {
                "run": plan.before.run_id,
                "estimate_usd": plan.before.estimate_nusd / 1e9,
                "low_usd": plan.before.low_nusd / 1e9,
                "high_usd": plan.before.high_nusd / 1e9,
                "cost_usd": plan.before.cost_nusd / 1e9,
            }
            if plan.before
            else None,
            "evidence": {
                "guessed_documents": plan.evidence.guessed,
                "past_answers": plan.evidence.past,
                "online_counts": plan.evidence.online,
                "online_problem": plan.evidence.online_problem,
                "past_replies": plan.evidence.replies,
            },
            "time": {"seconds": round(plan.duration.seconds, 1), "binding": str(plan.duration.binding)},
            "limits": {
                "requests_per_minute": opened.limits.requests_per_minute,
                "input_tokens_per_minute": opened.limits.input_tokens_per_minute,
                "output_tokens_per_minute": opened.limits.output_tokens_per_minute,
            },
            "budget_usd": plan.cap_nusd / 1e9,
            "spent_usd": plan.spent_nusd / 1e9,
            "held_usd": plan.held_nusd / 1e9,
            "continues": plan.continues,
            "ok": refused is None,
            "refused": str(refused) if refused else None,
            "over_budget": left_nusd < 0,
            "caps": caps_as_json(plan),
            "fits": plan.affordable_count,
            "pdf": pdf_as_json(plan.pdf) if plan.pdf else None,
            "prices": {"date": str(opened.price.table_date), "warnings": warnings(plan, opened)},
            "pilot_documents": opened.job.spec.pilot.documents,
            "problems": [{**key_fields(one.doc_id), "kind": one.kind, "reason": one.reason} for one in plan.problems],
            "notes": dict(plan.notes),
            "partly_asked": {
                "documents": plan.partly.documents,
                "fields": list(plan.partly.fields),
                "usd": plan.partly.nusd / 1e9,
                "all_fields_usd": plan.partly.whole_nusd / 1e9,
            }
            if plan.partly
            else None,
            "budget_notes": list(plan.budget_notes),
            "provider_notes": list(plan.provider_notes),
            "table_files": plan.tables,
            "mostly_markup": {
                "documents": plan.markup.documents,
                "usd": plan.markup.nusd / 1e9,
                "worst": plan.markup.worst,
                "share": round(plan.markup.share, 3),
            }
            if plan.markup
            else None,
    }  # fmt: skip


def reply_as_json(reply: ReplyForecast) -> dict[str, object]:
    """The forecast of the replies: the shares that are cut off and that are thinking, and what to set in [model]."""
    return {
        "max_tokens": reply.max_tokens,
        "cut_share": round(reply.cut_share, 3),
        "thinking_share": round(reply.thinking_share, 3),
        "past_replies": reply.replies,
        "remedies": list(reply.remedies),
    }


def pdf_as_json(cost: PdfCost) -> dict[str, object]:
    """The cost of the PDFs to send, as text and as they are."""
    return {
        "files": cost.files,
        "pages": cost.pages,
        "without_text": cost.textless,
        "as_text_usd": cost.as_text_nusd / 1e9,
        "native_usd": cost.native_nusd / 1e9,
    }


def route_as_json(forecast: Forecast) -> dict[str, object]:
    """The forecast of one route."""
    return {
        "estimate_usd": interval_fields(forecast.estimate.cost_usd),
        "seconds": round(forecast.seconds, 1),
        "at_most_s": forecast.at_most_s,
        "binding": str(forecast.duration.binding) if forecast.duration else None,
        "cache": cache_as_json(forecast.caching) if forecast.caching else None,
    }


def cache_as_json(caching: Caching) -> dict[str, object]:
    """The decision on prompt caching for one route."""
    return {
        "ttl": caching.ttl,
        "document_ttl": caching.document_ttl,
        "reason": caching.reason,
        "hit_rate": interval_fields(caching.hit_rate),
        "tokens": interval_fields(caching.tokens),
        "break_even_hit_rate": caching.break_even,
        "break_even_requests": caching.break_even_requests,
    }
