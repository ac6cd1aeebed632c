"""One pass over the source: every document becomes a row of the plan, and the documents to send are priced."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from batchrun.budget.caps import Amount, Caps
from batchrun.catalog.price import ModelPrice
from batchrun.document import Unreadable
from batchrun.documents import Shard, Source
from batchrun.duckdb_file import LockedByAnother
from batchrun.errors import Refused, UsageProblem
from batchrun.escaping import escape_control
from batchrun.estimation.estimate import Estimate, Estimator, RequestTokens
from batchrun.estimation.sampling import COUNTED_AT_ONCE
from batchrun.estimation.text_class import TextClass
from batchrun.estimation.tokenizer import count_tokens, truncate
from batchrun.job.load import JobFile
from batchrun.job.render import Renderer
from batchrun.job.source_sections import FilesSourceSection
from batchrun.job.table_names import looks_like_table
from batchrun.planning.api_lookups import CounterFactory, notices_online
from batchrun.planning.calibration_data import CalibrationData, prefix_of, untaught
from batchrun.planning.classification import PageClassifier, worst_amount
from batchrun.planning.earlier_answers import EarlierAnswers
from batchrun.planning.forecast import Forecaster
from batchrun.planning.gone_documents import GoneDocuments
from batchrun.planning.kept_counts import KeptCounts
from batchrun.planning.ledger_lookups import known_max_tokens
from batchrun.planning.merging import Merger
from batchrun.planning.paid_before import PaidBefore
from batchrun.planning.plan_numbers import numbers
from batchrun.planning.plan_table import PlannedDocuments
from batchrun.planning.request_builder import RequestBuilder, size_limit, window_limit
from batchrun.planning.request_template import RequestTemplate
from batchrun.planning.selection import Selection
from batchrun.planning.settled_files import SettledFiles
from batchrun.planning.token_sampling import TokenSampler
from batchrun.planning.weighing import Page, Prepared, Wanted, Weigher, weighed_request
from batchrun.request import Request
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.past_usage import past_replies, past_turns, past_votes
from batchrun.store.ledger.runs import Runs
from batchrun.store.output.publish import Output
from batchrun.strategy.model_chain import ModelChain
from batchrun.strategy.plan import Plan
from batchrun.strategy.provider_notes import no_batches
from batchrun.strategy.routes import Route
from batchrun.workers.children import Children
from batchrun.workers.pool import Pool
from batchrun.workers.workers import Workers

LOOKING_S = 2.0
"""How long planning waits for somebody who holds the output file."""
NOT_DECISIVE = {"include", "exclude", "text_cache", "on_removed", "merge"}
"""Keys of [source] that say nothing of a document with the same bytes."""
ONLINE = 30
"""How many requests the API counts by default: they give the factor to one or two percent."""


@dataclass
class Planner:
    """Plans one job; `plan` may be called once."""

    job: JobFile
    source: Source
    ledger: Ledger
    chain: ModelChain
    caps: Caps
    route: str | None
    """`stream`, `batch` or `auto`; None if neither job file nor command names a route."""
    deadline_s: float | None
    """Seconds from the start of the run."""
    exact: bool = False
    """Whether every document is counted, however many documents there are."""
    output: Output | None = None
    """Where to look for rows of the documents to send; None if they are sent whether they have rows or not."""
    typed: tuple[str, ...] = ()
    """The command that plans, as in `Plan.typed`."""
    pool: Pool = field(default_factory=Children)
    """The workers that read what must not be read in this process, or all they can."""
    rescans: bool = False
    """Whether files are opened that have not changed since their documents were settled."""
    rereads: bool = False
    """Whether documents are sent again that an older reader read."""
    reasks_all: bool = False
    """Whether documents are asked for all fields again, whatever is answered."""
    partial_answers: bool = False
    """Whether requests are sent although most replies are expected to be cut off."""
    planning: Callable[[str, int], None] = lambda *_: None
    """Hears how far `plan` is: what is being done, and how many documents were found until now."""
    template: RequestTemplate = field(init=False)
    counts: KeptCounts = field(init=False)
    """Who counts the tokens of texts that every request has."""
    calibration: CalibrationData = field(init=False)
    estimator: Estimator = field(init=False)
    """The estimator, as corrected by what planning learnt."""
    unsampled: Mapping[TextClass, float] = field(init=False, default_factory=dict)
    """The standard deviation of the guessed tokens, in cl100k tokens of each class."""
    builder: RequestBuilder = field(init=False)
    planned: PlannedDocuments = field(init=False)
    files: SettledFiles = field(init=False)
    gone: GoneDocuments = field(init=False)
    workers: Workers[Page, Wanted, Prepared | Unreadable] = field(init=False)
    """Who reads the documents, when planning and when sending."""
    merger: Merger | None = field(init=False)
    """Who makes the requests that merge the answers over parts; None if no request merges them."""
    in_batches: bool = field(init=False)
    """Whether requests certainly go by batch, whatever the estimate says."""
    everything: bool = field(init=False, default=True)
    """Whether no document is left out of the plan."""
    _notices: tuple[str, ...] = ()
    _in_source: int = 0
    _gone_rows: int = 0
    _tables: int = 0
    _digest: str = ""
    _reused: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counts = KeptCounts(self.ledger)
        self.template = RequestTemplate(self.job, tool_choice=self.chain.models[0].tool_choice)
        run = Runs(self.ledger).open_run(self.job.spec.job.name, self.fingerprint)
        able = self.chain.models[0].capabilities
        self.in_batches = able.batches and (self.route or (run.route if run else None)) == Route.BATCH
        streams = self.route in {None, "stream"} and not self.in_batches
        self.estimator = untaught(self.job, self.renderer, self.price, count=self.counts, streams=streams)
        self.calibration = CalibrationData(
            job=self.job, ledger=self.ledger, fingerprint=self.fingerprint, guess=self.estimator
        )
        limit = size_limit(self.job.spec, self.chain.models[0], self._window)
        self.builder = RequestBuilder(self.template, self.estimator, limit, count=count_tokens, truncate=truncate)
        self.planned = PlannedDocuments(self.ledger, self.job.spec.job.name, settings=self.settings)
        self.workers = self._workers(Selection())
        self.merger = self._merger(Selection())
        self.files = SettledFiles(self.ledger, self.job.spec.job.name, settings=self.settings, chain=self.chain)
        self.gone = GoneDocuments(self.ledger, self.job.spec.job.name, drops=self._drops_gone)

    @property
    def price(self) -> ModelPrice:
        """The price of the job's own model."""
        return self.chain.models[0].price

    @property
    def renderer(self) -> Renderer:
        """The texts of the job's requests."""
        return self.template.renderer

    @property
    def fingerprint(self) -> str:
        """The hash of everything in the job's requests but the documents."""
        return self.template.fingerprint

    @cached_property
    def settings(self) -> str:
        """The digest of everything in the job that decides what becomes of a document with the same bytes."""
        # A key that has its default says nothing: a later batchrun may know more keys.
        source = self.job.spec.source.model_dump(mode="json", exclude=NOT_DECISIVE, exclude_defaults=True)
        models = [[model.price.name, model.effort, model.thinking] for model in self.chain.models]
        rules, cap = self.chain.acceptance_rules, self.caps.document
        accepted = [*self.chain.fallback_on, *(rules.words if rules else ())]
        decisive = [self.fingerprint, source, models, sorted(accepted), cap and cap.limit]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    async def plan(self, selection: Selection, *, counter: CounterFactory | None = None, online: int = ONLINE) -> Plan:
        """Plan every selected document. Raises Refused for ids that occur twice, and the errors of the source.

        With a `counter` the API counts about `online` documents, unless the job has enough answers.
        """
        able = self.chain.models[0].capabilities
        if self.route == Route.BATCH and (why := no_batches(able, self.price.name)):
            raise UsageProblem(f"{why}.", hint="leave --route out, or say --route stream")
        self.everything = selection.everything
        self.workers, self.merger = self._workers(selection), self._merger(selection)
        self.planning("reading" if self.pool.name == "processes" else self.pool.name, 0)
        self._read(selection)
        self._require_what_is_named(selection)
        if self.everything:
            self._gone_rows = self.gone.find()
        self._narrow(selection)
        self._mark_paid()
        self.planning("counting", self._in_source)
        self.unsampled = self._sampler.count_sample()
        if counter and self.planned.sends():
            self.planning("asking", self._in_source)
            if self.chain.models[0].capabilities.counts_tokens:
                await self.calibration.ask(self._sampler, counter, online)
            names = [model.price.name for model in self.chain.models if model.capabilities.models_api]
            self._notices = await notices_online(counter, names, today=datetime.now(UTC).date())
        self._digest, self._reused = self.planned.digest(), self.planned.reused()
        return self.forecast()

    def _read(self, selection: Selection) -> None:
        """Bring every selected document of the source into the plan. Raises Refused for ids that occur twice."""
        classifier = self._classifier
        for shard, page in self.workers.weigh(self._shards(selection)):
            self._in_source += page.seen
            for columns in classifier.columns(numbers(shard, page), page, selection):
                self.planned.add_columns(columns)
            self.planning("reading", self._in_source)
        if twice := self.planned.finish():
            shown = ", ".join(map(escape_control, sorted(twice)[:10]))
            raise Refused(
                f"{len(twice)} ids stand for more than one document: {shown}",
                hint='every document needs an id of its own; for files use [source] id = "relpath"',
            )

    def _require_what_is_named(self, selection: Selection) -> None:
        """Raise UsageProblem for ids and columns that no document has."""
        if not selection.again and (missing := self.planned.missing(selection.ids)):
            raise UsageProblem(
                f"no document has the id {', '.join(map(escape_control, missing[:10]))}.",
                hint="ids are the paths below the project, or the id column of the query",
            )
        if selection.covers_files and (unknown := self.planned.unknown_columns(self.job.spec.source.columns)):
            raise UsageProblem(
                f"[source] columns: no document has the column {', '.join(map(escape_control, unknown))}.",
                hint="columns of files: path, size, modified, pages; of the rows of sheets: the names in the first row",
            )

    def _narrow(self, selection: Selection) -> None:
        """Keep the documents that the selection chooses among all that were read."""
        if selection.where:
            self.planned.choose(selection.where)
        if selection.limit is not None:
            self.planned.first(selection.limit)
        self.planned.mark_identical()
        if selection.next is not None:
            self.planned.next(selection.next)

    def forecast(self, *, route: str | None = None, exact: bool = False) -> Plan:
        """Add up the plan as it stands, again after the plan was narrowed or a pilot was sent.

        `route` replaces the route that was asked for; with `exact` no document counts as guessed.
        """
        sums = self.planned.sums()
        evidence, learned = self.calibration.learned(guessed=sums.guessed)
        self.estimator = replace(learned, most_output=max(learned.most_output, sums.most_max_tokens))
        unsampled = {} if exact else self.unsampled
        merging = self._merging(admitted=False)
        forecaster = replace(self._forecaster, route=route or self.route, unsampled=unsampled, merging=merging)
        plan = forecaster.plan(self.planned.notes(), evidence, self._notices)
        return replace(
            plan,
            in_source=self._in_source,
            digest=self._digest,
            reused=self._reused,
            typed=self.typed,
            older=sums.older,
            in_parts=self.planned.in_parts(),
            merging=len(merging),
            gone=self._gone_rows,
            tables=self._tables,
            drops_gone=self._drops_gone,
            partial_answers=self.partial_answers,
            calibration_no=self.chain.acceptance_rules.calibration_no if self.chain.acceptance_rules else None,
        )

    def anything_to_record(self) -> bool:
        """Whether the ledger lacks something that this plan found out without any work to admit."""
        return self.files.anything_to_remember() or self.gone.anything_to_record()

    def anything_to_merge(self) -> bool:
        """Whether answers for the parts of documents are to be merged by requests, answered or not."""
        return self.merger is not None and self.merger.anything_due(self.ledger)

    def record(self) -> None:
        """Record, in a transaction, how files were read, which documents are gone, and the counts of texts."""
        self.files.remember()
        self.gone.record()
        self.counts.record()

    @property
    def _drops_gone(self) -> bool:
        return self.job.spec.source.on_removed == "drop"

    def _mark_paid(self) -> None:
        """Look in the output for rows of what would be sent.

        A file that stays in use is passed over by a job with a past: only a ledger without one may have been lost.
        """
        if self.output is None or not self.planned.sends():
            return
        name = self.job.spec.job.name
        try:
            with self.output.stored_rows(wait_s=LOOKING_S) as rows:
                if rows:
                    PaidBefore(self.ledger, name).mark(rows)
        except LockedByAnother:
            if Runs(self.ledger).last_run(name) is None:
                raise

    def _shards(self, selection: Selection) -> Iterator[tuple[Shard, bool]]:
        """List what has to be read, and whether all its documents are counted, by the place of the shard alone."""
        skips = not (self.rescans or self.rereads) and selection.covers_files and self.chain.acceptance_rules is None
        exact = self.exact or self.caps.document is not None
        seen_bytes = 0
        takes_files = isinstance(self.job.spec.source, FilesSourceSection)
        for shard in self.source.shards():
            self._tables += takes_files and sum(looks_like_table(file.source) for file in shard.files)
            settled, rest = self.files.plan(shard) if skips else (0, shard)
            self._in_source += settled
            if rest.files or not shard.files:
                if selection.covers_files:
                    self.files.list(rest)
                yield rest, exact or seen_bytes < COUNTED_AT_ONCE
            seen_bytes += shard.size

    def _workers(self, selection: Selection) -> Workers[Page, Wanted, Prepared | Unreadable]:
        spec, source = self.job.spec, self.job.spec.source
        weigher = Weigher(
            source=self.source,
            builder=self.builder,
            chain=self.chain,
            selection=selection,
            overlap_tokens=source.split_overlap_tokens if source.on_oversize == "split" else None,
            allowed=known_max_tokens(
                self.ledger,
                spec.job.name,
                selection,
                own=spec.model.max_tokens,
                most=self.price.max_output_tokens,
            ),
            columns=source.columns,
        )
        return Workers(weigher, self.pool, self.source.parallel)

    def count(self, numbers: Iterable[int]) -> None:
        """Count the tokens of documents that were only guessed."""
        self._sampler.count(numbers)

    def remaining_estimate(self, route: Route) -> Estimate:
        """Estimate the documents of the plan that are still pending, by a route, as far as the run has taught."""
        _, self.estimator = self.calibration.learned(guessed=0)
        return replace(self._forecaster, merging=self._merging(admitted=True)).remaining_estimate(route)

    def _merging(self, *, admitted: bool) -> list[int]:
        return self.merger.expected(self.ledger, admitted=admitted) if self.merger else []

    def _merger(self, selection: Selection) -> Merger | None:
        spec = self.job.spec
        if spec.source.on_oversize != "split" or spec.source.merge != "model":
            return None
        limit = window_limit(self.chain.models[0], self._window)
        return Merger(
            job=spec.job.name,
            builder=RequestBuilder(self.template, self.estimator, limit, count=count_tokens, truncate=truncate),
            chain=self.chain,
            max_tokens=spec.model.max_tokens,
            form=self.job.form,
            prompt_sha=self.template.prompt_sha,
            columns=self.job.user.names,
            selection=selection,
        )

    @property
    def _classifier(self) -> PageClassifier:
        return PageClassifier(
            spec=self.job.spec,
            ledger=self.ledger,
            settings=self.settings,
            chain=self.chain,
            builder=self.builder,
            estimator=self.estimator,
            caps=self.caps,
            in_batches=self.in_batches,
            prepare=self.workers.prepare,
            earlier=EarlierAnswers(ledger=self.ledger, form=self.job.form, prompt_sha=self.template.prompt_sha),
            rereads=self.rereads,
            reasks_all=self.reasks_all,
        )

    @property
    def _forecaster(self) -> Forecaster:
        name, model = self.job.spec.job.name, self.price.name
        return Forecaster(
            job=self.job,
            chain=self.chain,
            planned=self.planned,
            ledger=self.ledger,
            estimator=self.estimator,
            unsampled=self.unsampled,
            fingerprint=self.fingerprint,
            caps=self.caps,
            prefix=prefix_of(self.renderer, self.estimator, self.job.form, self.counts),
            document_turns=self.renderer.document_turns,
            route=self.route,
            deadline_s=self.deadline_s,
            replies=past_replies(self.ledger, name, fingerprint=self.fingerprint, model=model),
            further=past_turns(self.ledger, name, fingerprint=self.fingerprint, model=model),
            votes=past_votes(self.ledger, name, fingerprint=self.fingerprint, model=model),
        )

    @property
    def _sampler(self) -> TokenSampler:
        return TokenSampler(
            planned=self.planned.tokens,
            prepare=self.workers.prepare,
            page=self.source.page,
            template=self.template,
            worst=self._worst,
        )

    @property
    def _window(self) -> int:
        """How many tokens of the context window are left for the document."""
        used = self.job.spec.model.max_tokens + math.ceil(self.estimator.fixed_input.high)
        return max(0, self.price.context_window - used)

    def _worst(self, request: Request, tokens: RequestTokens) -> Amount:
        requests = tuple(map(weighed_request, self.chain.requests(request)))
        return worst_amount(self.estimator, self.chain.models, requests, tokens)
