"""A plan for people."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from batchrun.catalog.money import dollars, spent_and_held
from batchrun.catalog.notices import in_and_out, upcoming_price
from batchrun.cli.next_command import command, typed_path
from batchrun.cli.views.caps_text import cap_lines
from batchrun.cli.views.cascade_text import cascade_lines
from batchrun.cli.views.format import about, count, tokens, with_bounds
from batchrun.cli.views.route_text import route_lines
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import SHOWN_COLUMNS, escape_control, shown_path
from batchrun.estimation.estimate import RequestTokens
from batchrun.job.source_sections import FilesSourceSection
from batchrun.strategy.model_chain import ModelChain
from batchrun.strategy.pilot_report import PilotOptions, pilot_terms
from batchrun.strategy.plan import Kind, Plan
from batchrun.strategy.reading_notes import guessed_encodings, other_notes
from batchrun.strategy.refusal import budget_left, cut_words, settings
from batchrun.workflow.open_job import OpenJob

WORDS = {
    Kind.NEW: "new",
    Kind.CHANGED: "changed",
    Kind.UNFINISHED: "unfinished",
    Kind.RETRY: "tried again",
    Kind.IDENTICAL: "identical to another",
    Kind.IN_BATCH: "in a batch",
    Kind.REUSABLE: "done",
    Kind.FAILED: "failed before",
    Kind.TOO_LARGE: "too large",
    Kind.EMPTY: "empty",
    Kind.UNREADABLE: "unreadable",
}
SHOWN_NOTES = 5
SHOWN_FIELDS = 5
"""How many notes, and how many encodings, a plan shows."""
ALWAYS = {Kind.NEW, Kind.CHANGED, Kind.REUSABLE}


def plan_as_text(plan: Plan, opened: OpenJob, terminal: Terminal, path: Path, *, runs: bool, file: Path | None) -> str:
    """The whole plan; `runs` says whether a submit would carry the plan out, and `file` has the plan."""
    spec = opened.job.spec.model
    effort = f", effort {spec.effort}" if spec.effort else ""
    stamp = terminal.simulated_stamp(opened.simulated)
    lines = [
        f"{stamp}{plan.job}: {selected(plan)}, {plan.model}{effort}",
        *([f"project  {escape_control(opened.job.root_note)}"] if opened.job.root_note else []),
        f"source   {documents_line(plan)}",
        *problem_lines(plan),
        *note_lines(plan),
        *table_lines(plan),
        *[f"warning  {words}" for words in markup_words(plan)],
        *model_chain_lines(plan, opened),
        *[f"provider {words}" for words in plan.provider_notes],
        *money_lines(plan, opened),
        *pilot_lines(opened),
        *(["", f"Nothing was sent. To run this:  {to_run(plan, path, file)}"] if runs else []),
        *([] if plan.requests else ["", "Nothing was sent."]),
    ]
    return "\n".join(lines)


def to_run(plan: Plan, path: Path, file: Path | None) -> str:
    """The command that carries a plan out."""
    if file:
        return command("submit", None, [f"--plan={typed_path(file)}"])
    return command("submit", path, plan.typed[1:])


def selected(plan: Plan) -> str:
    """`300 documents`, or `20 of 300 documents` if the others are not selected."""
    of = f"{plan.documents:,} of " if plan.documents < plan.in_source else ""
    return of + count(max(plan.in_source, plan.documents), "document")


def pilot_lines(opened: OpenJob) -> list[str]:
    """The number of documents in the pilot; no line if a submit sends all documents at once."""
    terms = pilot_terms(opened.job.spec.pilot, PilotOptions())
    if terms is None:
        return []
    after = "the rest follows when [pilot] holds" if terms.goes_on else "the rest waits for another submit"
    return [f"pilot    {count(terms.documents, 'document')} first, unless as many were answered before; {after}"]


def documents_line(plan: Plan) -> str:
    """The count of each kind, and why documents whose text is unchanged are sent again."""
    line = " · ".join(
        f"{plan.counts[kind]:,} {word}" for kind, word in WORDS.items() if plan.counts[kind] or kind in ALWAYS
    )
    if plan.same_text:
        line += f"\n         {count(plan.same_text, 'document')} changed only because the job file did"
        line += " (prompt, model or output): their answers are paid for again"
    line += "".join(f"\n         {words}" for words in reused_words(plan))
    if plan.paid_before:
        line += f"\n         {count(plan.paid_before, 'document')} to send with a row in the output already,"
        line += " which the ledger does not know"
    line += "".join(
        f"\n         {words}"
        for words in [
            *partly_words(plan),
            *turns_words(plan),
            *votes_words(plan),
            *parts_words(plan),
            *older_words(plan),
            *gone_words(plan),
        ]
    )
    return line


def note_lines(plan: Plan) -> list[str]:
    """What had to be done to read documents: a line for guessed encodings, and the most frequent other notes."""
    lines = []
    if guessed := guessed_encodings(plan.notes):
        most = [f"{escape_control(codec)} ({documents:,})" for codec, documents in list(guessed.items())[:SHOWN_NOTES]]
        more = ", …" if len(guessed) > SHOWN_NOTES else ""
        lines.append(f"guessed encodings: {', '.join(most)}{more}; plan -v names the documents")
    others = list(other_notes(plan.notes).items())
    lines += [f"{escape_control(note)}: {count(documents, 'document')}" for note, documents in others[:SHOWN_NOTES]]
    if rest := sum(documents for _, documents in others[SHOWN_NOTES:]):
        lines.append(f"other notes: {count(rest, 'document')}; plan -v has them all")
    return [f"         {line}" for line in lines]


def table_lines(plan: Plan) -> list[str]:
    """The files that look like tables, whose rows may be meant as documents; no line if there are none."""
    if not plan.tables:
        return []
    look = (
        "looks like a table and is one document" if plan.tables == 1 else "look like tables and are one document each"
    )
    return [f'         {count(plan.tables, "file")} {look}; for a document a row: type = "table"']


def markup_words(plan: Plan) -> list[str]:
    """The documents to send that are mostly markup or base64, with their price; nothing if there are none."""
    if not (found := plan.markup):
        return []
    are, their = ("is", "its") if found.documents == 1 else ("are", "their")
    worst = f"{found.share:.0%} of {shown_path(found.worst)}"
    return [
        f"{count(found.documents, 'document')} {are} mostly markup or base64 ({worst}):"
        f" {their} text costs about {dollars(found.nusd)}"
    ]


def cut_off_words(plan: Plan) -> list[str]:
    """The share of replies that will be cut off, and what to set; nothing unless that is most of them."""
    if not (reply := plan.mostly_cut):
        return []
    return ["; ".join([cut_words(reply), *settings(reply)])]


def thinking_lines(plan: Plan) -> list[str]:
    """The part of the output that is thinking; no line if the model is not expected to think."""
    share = plan.reply.thinking_share if plan.reply else 0.0
    return [f"         thinking is {about(share)} of the output"] if share else []


def parts_words(plan: Plan) -> list[str]:
    """The long documents that are asked in parts, which are counted one by one; nothing if there are none."""
    documents, parts = plan.in_parts
    are = "is" if documents == 1 else "are"
    lines = [f"{count(documents, 'long document')} {are} asked in {count(parts, 'part')}"] if documents else []
    if plan.merging:
        merge, their = ("merges", "its") if plan.merging == 1 else ("merge", "their")
        lines.append(f"and {count(plan.merging, 'request')} that {merge} {their} answers")
    return lines


def partly_words(plan: Plan) -> list[str]:
    """The documents that are asked for some fields alone, and what all fields would cost; nothing if there are none."""
    if not (partly := plan.partly):
        return []
    are, their = ("is", "its") if partly.documents == 1 else ("are", "their")
    shown = ", ".join(partly.fields[:SHOWN_FIELDS]) + (", …" if len(partly.fields) > SHOWN_FIELDS else "")
    return [
        f"{count(partly.documents, 'document')} {are} asked for {shown} alone, about {dollars(partly.nusd)};"
        f" for all {their} fields again, about {dollars(partly.whole_nusd)}: --reask all"
    ]


def turns_words(plan: Plan) -> list[str]:
    """In how many requests each document is asked, and what they pay for it; nothing if one request asks it all."""
    if plan.turns == 1 or (plan.votes and not plan.pays_each_turn):
        return []
    most = "" if plan.estimate.requests == plan.estimate.documents * plan.turns else "up to "
    line = f"each document is asked in {most}{plan.turns} requests, {plan.estimate.requests:,} in all"
    if plan.pays_each_turn:
        line += ', and each of them pays for the document; [output] mode = "xml" lets them share it from the cache'
    return [line]


def votes_words(plan: Plan) -> list[str]:
    """How many votes each document takes, on average; nothing for a job without votes."""
    if not (each := plan.votes):
        return []
    votes = f"about {each.mean:.1f} votes ({each.low:.1f} to {each.high:.1f})"
    requests = f"{plan.estimate.requests:,} requests in all"
    return [f"each document is asked until more than half of the votes agree in every field: {votes}, {requests}"]


def older_words(plan: Plan) -> list[str]:
    """The documents whose answer is to a text that an older reader found; nothing if there are none."""
    if not plan.older:
        return []
    keep, them = ("keeps", "it") if plan.older == 1 else ("keep", "them")
    what = f"{count(plan.older, 'document')} {keep} the answer to a text that an older reader found"
    return [f"{what}: --reread sends {them} again"]


def gone_words(plan: Plan) -> list[str]:
    """The rows of documents that are no longer in the source, and what becomes of them; nothing if there are none."""
    return [gone_said(plan.gone, drops=plan.drops_gone)] if plan.gone else []


def gone_said(rows: int, *, drops: bool) -> str:
    """How many rows belong to documents that are no longer in the source, and what removes these rows."""
    belong, them = ("belongs to a document that is", "it") if rows == 1 else ("belong to documents that are", "them")
    removes = "submit removes" if drops else '[source] on_removed = "drop" removes'
    return f"{count(rows, 'row')} {belong} no longer in the source: {removes} {them}"


def document_lines(
    documents: Iterable[tuple[str, Kind, str | None, RequestTokens | None, str | None]],
) -> Iterator[str]:
    """A line for each document: what a submit does with it, its size, and what had to be done to read it."""
    for doc_id, kind, reason, known, note in documents:
        what = "as it is" if known and known.text_class.is_native else "of cl100k"
        size = f"   {known.counted:,} tokens {what}" if known else ""
        why = "".join(f"   {escape_control(words)}" for words in (reason, note) if words)
        yield f"{WORDS[kind]:<20} {shown_path(doc_id, 2 * SHOWN_COLUMNS)}{size}{why}"


def reused_words(plan: Plan) -> list[str]:
    """The answers of other jobs, or of other documents of this job, that are answers to the same requests."""
    return [
        f"{count(number, 'answer')} of job {escape_control(job)} {'is' if number == 1 else 'are'} to the same"
        f" {'request' if number == 1 else 'requests'}: nothing to pay"
        for job, number in plan.reused.items()
    ]


def problem_lines(plan: Plan) -> list[str]:
    """The first of the documents that will not be sent as they are."""
    shown = plan.problems[:5]
    lines = [
        f"         {WORDS[one.kind]}  {shown_path(one.doc_id)}: {shown_path(one.reason, 2 * SHOWN_COLUMNS)}"
        for one in shown
    ]
    rest = sum(plan.counts[kind] for kind in (Kind.TOO_LARGE, Kind.EMPTY, Kind.UNREADABLE)) - len(shown)
    return [*lines, f"         and {rest:,} more"] if rest > 0 else lines


def model_chain_lines(plan: Plan, opened: OpenJob) -> list[str]:
    """The models that answer if the job's own model does not, and their cost; no line without fallbacks."""
    names = [escape_control(chain_model.price.name) for chain_model in opened.chain.models]
    if len(names) == 1:
        return []
    passed_on = [f"         {escape_control(words)}" for words in plan.budget_notes]
    if plan.cascade:
        return [*cascade_lines(plan.cascade, opened, to_send=plan.to_send), *passed_on]
    line = f"ladder   {', then '.join(names)} on {', '.join(opened.job.spec.model.fallback_on)}"
    if plan.costliest_fallback:
        there = "there" if len(names) == 2 else f"at {escape_control(plan.costliest_fallback.model)}"
        line += f" · all of it {there} would cost up to {dollars(plan.costliest_fallback.upper_nusd)}"
    return [line, *passed_on]


def money_lines(plan: Plan, opened: OpenJob) -> list[str]:
    """Tokens, cost, time, budget and prices."""
    if not plan.requests:
        return ["cost     nothing: there is nothing to send"]
    estimate = plan.estimate
    replies = "a guess from the schema"
    if plan.evidence.replies:
        replies = f"learnt from {count(plan.evidence.replies, 'answer')} of this job"
    left_nusd = budget_left(estimate=estimate, spent_nusd=plan.spent_nusd, cap_nusd=plan.cap_nusd)
    before = spent_and_held(plan.spent_nusd, plan.held_nusd)
    spent = f", {before} by run {plan.continues}" if plan.continues else ""
    verdict = f"OK ({dollars(left_nusd - plan.held_nusd)} remaining at the upper bound)"
    if left_nusd < 0:
        verdict = f"too little by {dollars(-left_nusd)} at the upper bound"
    elif left_nusd < plan.held_nusd:
        verdict = "enough, but not beside what is reserved for lost answers: the run may stop at it"
    return [
        f"tokens   input   {with_bounds(estimate.input, tokens, width=7)}"
        f"   instructions and schema: {tokens(estimate.fixed_tokens)} each",
        f"         output  {with_bounds(estimate.output, tokens, width=7)}   {replies}",
        *thinking_lines(plan),
        *evidence_lines(plan, opened.chain),
        *[f"warning  {words}" for words in cut_off_words(plan)],
        f"cost     {with_bounds(estimate.cost_nusd, dollars, width=0)}",
        *before_lines(plan),
        *route_lines(plan, opened.chain),
        *pdf_lines(plan, opened),
        f"budget   {dollars(plan.cap_nusd)}{spent}: {verdict}",
        *cap_lines(plan),
        *price_lines(plan, opened),
    ]


def pdf_lines(plan: Plan, opened: OpenJob) -> list[str]:
    """The cost of the PDFs as text and as they are; no line without a PDF."""
    source = opened.job.spec.source
    if plan.pdf is None or not isinstance(source, FilesSourceSection):
        return []
    pages = f"{count(plan.pdf.pages, 'page')} in {count(plan.pdf.files, 'file')}"
    as_text = (
        f"as text {dollars(plan.pdf.as_text_nusd)}" if plan.pdf.textless < plan.pdf.files else "as text not at all"
    )
    without = f" without the {count(plan.pdf.textless, 'scan')}" if 0 < plan.pdf.textless < plan.pdf.files else ""
    return [
        f'pdf      {pages}: {as_text}{without}, native {dollars(plan.pdf.native_nusd)} ([source] pdf = "{source.pdf}")'
    ]


def price_lines(plan: Plan, opened: OpenJob) -> list[str]:
    """The price of the model now and later, and all warnings."""
    price = opened.price
    return [
        f"prices   of {price.table_date} · {escape_control(price.name)} {in_and_out(price.rates)} per million tokens",
        *[f"         {upcoming_price(later)}" for later in opened.prices.upcoming.get(price.name, ())],
        *[f"warning  {escape_control(notice)}" for notice in warnings(plan, opened)],
    ]


def warnings(plan: Plan, opened: OpenJob) -> list[str]:
    """The warnings of the price table and of the API about prices and models, each once."""
    return list(dict.fromkeys([*opened.price_notices, *plan.notices]))


def evidence_lines(plan: Plan, chain: ModelChain) -> list[str]:
    """How the input was counted, and how the count is corrected."""
    evidence = plan.evidence
    if evidence.past:
        corrected = f"corrected by {count(evidence.past, 'answer')} of this job"
    elif evidence.online:
        corrected = f"corrected by {count(evidence.online, 'count')} of the API"
    else:
        corrected = "times the measured factor of this model's tokenizer and kind of text"
        if chain.models[0].capabilities.counts_tokens:
            corrected += "; --online 30 narrows it"
    lines = [f"counted  tiktoken cl100k, {corrected}"]
    if evidence.guessed:
        guessed = f"{count(evidence.guessed, 'document')} by size, from a sample of the others"
        lines = [f"counted  tiktoken cl100k; {guessed}", f"         {corrected}"]
    if evidence.online_problem:
        problem = escape_control(evidence.online_problem)
        lines.append(f"         the API did not count: {problem}; see: {command('doctor', None)}")
    return lines


def before_lines(plan: Plan) -> list[str]:
    """How close the last estimate was to the cost."""
    if not (last := plan.before):
        return []
    error = 100 * (last.cost_nusd / last.estimate_nusd - 1)
    where = "within" if last.low_nusd <= last.cost_nusd <= last.high_nusd else "outside"
    return [
        f"         run {last.run_id} before cost {dollars(last.cost_nusd)}, estimated at {dollars(last.estimate_nusd)}"
        f" ({error:+.1f}%, {where} its interval)"
    ]
