"""Every key of the job file, with its type: a job file may have no other key."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    model_validator,
)

from batchrun.batch import MOST_BYTES, MOST_REQUESTS
from batchrun.document import Value
from batchrun.job.check_section import CheckSections
from batchrun.job.field_types import FieldSpec, Table, TextField
from batchrun.job.gold_section import GoldSection, fits_the_fields
from batchrun.job.key_types import CacheMode, Positive, Share, TagName, TagValue, Text, auto_or_up_to
from batchrun.job.model_sections import CascadeSection, ModelSection
from batchrun.job.output_section import OutputSection, fits_the_source
from batchrun.job.project_root import LEDGER
from batchrun.job.provider_sections import NamedProviders, ProviderSection
from batchrun.job.report_section import ReportSection
from batchrun.job.review_section import ReviewSection
from batchrun.job.source_sections import Source
from batchrun.job.telling_sections import MetricsSection, NotifySection, starts_no_program
from batchrun.job.tune_section import TuneSection
from batchrun.job.units import Bytes, LongSeconds, NanoDollars, Seconds
from batchrun.job.value_errors import matching, refusal, wrong_value

_JOB_NAME = re.compile(r"[a-z0-9_-]{1,40}")
_TABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
AUTO_CONCURRENCY = 500
"""The most requests in progress at once when the job file does not say; pacing and outages keep the number lower."""
MOST_CONCURRENCY = 1000
MOST_WORKERS = 256
"""How many child processes a machine may be asked for."""
WorkersSetting = int | Literal["auto", "inline", "ray", "dask"]
"""Who reads documents; see `RunSection.workers`."""
WORKERS_CHECK = auto_or_up_to(MOST_WORKERS, "inline", "ray", "dask")
MOST_TAGS = 20
MOST_EXAMPLES = 20
"""How many examples every request may carry."""


def _few_tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > MOST_TAGS:
        raise refusal(f"{len(tags)} tags, and a job may have {MOST_TAGS}")
    return tags


class JobSection(Table):
    """[job]: what the job is called."""

    name: Annotated[
        str,
        AfterValidator(matching(_JOB_NAME.fullmatch, "1 to 40 of a-z, 0-9, _ and -")),
        Field(examples=['name = "contracts"']),
    ]
    """The name of the job, by which results and runs are found."""
    description: str | None = None
    """What the job is for, in words for people."""
    tags: Annotated[dict[TagName, TagValue], AfterValidator(_few_tags)] = Field(default_factory=dict)
    """What `cost` and the caps of the project put runs together by. No request depends on a tag."""


def _plain_columns(columns: object) -> object:
    if isinstance(columns, dict) and all(isinstance(value, str | int | float) for value in columns.values()):
        return columns
    raise wrong_value("a table of text, numbers, true and false", hint='such as { customer = "Ada" }')


class ExampleSection(Table):
    """[[prompt.example]]: a document and the answer that is wanted for the document."""

    document: Text | None = None
    """The text of the document."""
    document_file: Text | None = None
    """A UTF-8 file with the text of the document."""
    columns: Annotated[
        Mapping[str, Value], PlainValidator(_plain_columns, json_schema_input_type=Mapping[str, Value])
    ] = Field(default_factory=dict)
    """The columns that the prompt uses, if the documents of the job have columns."""
    output: Annotated[dict[str, Any], Field(examples=['output = { title = "Lease of 3 May" }'])]
    """The answer that is wanted, which has to fit the fields."""

    @model_validator(mode="after")
    def _one_document(self) -> Self:
        if self.document is not None and self.document_file is not None:
            raise refusal("give `document` or `document_file`, not both", key="document_file")
        if self.document is None and self.document_file is None:
            raise refusal("an example needs `document` or `document_file`", hint='such as `document = "Dear Ada, …"`')
        return self


def _few_examples(examples: tuple[ExampleSection, ...]) -> tuple[ExampleSection, ...]:
    if len(examples) > MOST_EXAMPLES:
        raise refusal(f"{len(examples)} examples, and a prompt may have {MOST_EXAMPLES}")
    return examples


class PromptSection(Table):
    """[prompt]: what is asked about each document."""

    system: Text | None = None
    """The system prompt, the same for every document."""
    system_file: Text | None = None
    """A UTF-8 file with the system prompt."""
    user: Annotated[Text | None, Field(examples=['user = "{{ doc.text }}"'])] = None
    """The message about each document, with `{{ doc.text }}`, `{{ doc.id }}` and `{{ doc.<column> }}`."""
    user_file: Text | None = None
    """A UTF-8 file with the message."""
    cache: CacheMode = "auto"
    """Whether the prompt up to the first placeholder is marked for the prompt cache, and for how long; auto marks the
    prompt when that is cheaper."""
    fence: bool = False
    """Whether everything of a document stands between marks that the document cannot contain."""
    example: Annotated[tuple[ExampleSection, ...], Field(strict=False), AfterValidator(_few_examples)] = ()
    """Documents with their answers, which the model is shown before every document."""

    @model_validator(mode="after")
    def _one_text_each(self) -> Self:
        if self.system is not None and self.system_file is not None:
            raise refusal("give `system` or `system_file`, not both", key="system_file")
        if self.user is not None and self.user_file is not None:
            raise refusal("give `user` or `user_file`, not both", key="user_file")
        if self.user is None and self.user_file is None:
            raise refusal("a prompt needs `user` or `user_file`", hint='such as `user = "{{ doc.text }}"`')
        return self


class RunSection(Table):
    """[run]: how the work is done."""

    route: Literal["stream", "batch", "auto"] = "stream"
    """How requests travel: at once, in Message Batches at half the price, or as the deadline allows."""
    deadline_s: Annotated[LongSeconds | None, Field(alias="deadline")] = None
    """When all should be done, counted from the start of the run."""
    max_concurrency: Annotated[int | Literal["auto"], auto_or_up_to(MOST_CONCURRENCY)] = "auto"
    """The most requests in progress at once; auto allows 500."""
    workers: Annotated[WorkersSetting, WORKERS_CHECK] = "auto"
    """Who reads documents: this process, so many child processes, or the nodes of a Ray or Dask cluster. Nothing else
    depends on them; auto starts child processes where that pays, or where reading may end the process."""
    max_at_risk_nusd: Annotated[NanoDollars | None, Field(alias="max_at_risk_usd")] = None
    """The most that streamed requests in flight may cost together: a killed process may pay for them again."""
    fail_fast: bool = False
    """Whether the first document that fails stops the run."""
    max_failure_rate: Annotated[float | None, Field(gt=0, le=1)] = None
    """The share of the latest 50 documents that may fail before the run stops; the default allows any share."""

    @property
    def most_concurrent(self) -> int:
        """The most requests in progress at once."""
        return AUTO_CONCURRENCY if self.max_concurrency == "auto" else self.max_concurrency


class PilotSection(Table):
    """[pilot]: documents that are sent first, and what these documents must show before the rest follows."""

    documents: Positive | None = None
    """The number of documents that come first; the default is a pilot only when the command asks for one."""
    max_failure_rate: Share | None = None
    """The largest share of the pilot's documents that may have no row."""
    max_refusal_rate: Share | None = None
    """The largest share of the pilot's documents that the model may refuse."""
    max_null_rate: Share | None = None
    """The largest share of nulls that a field may have in the pilot's rows."""
    max_cost_per_document_nusd: Annotated[NanoDollars | None, Field(alias="max_cost_per_document_usd")] = None
    """The most that a document of the pilot may cost on average, at the price of the rest's route."""
    go_on: bool | None = None
    """Whether the rest follows at once; by default if there is a threshold, and the pilot keeps to every threshold."""

    @property
    def any_threshold(self) -> bool:
        """Whether a pilot can fail."""
        rates = (self.max_failure_rate, self.max_refusal_rate, self.max_null_rate, self.max_cost_per_document_nusd)
        return any(rate is not None for rate in rates)


class BatchSection(Table):
    """[batch]: how requests travel in Message Batches."""

    max_requests: Annotated[int, Field(ge=1, le=MOST_REQUESTS)] = 10_000
    """The most requests in one batch."""
    max_bytes: Annotated[Bytes, Field(ge=1_000, le=MOST_BYTES)] = MOST_BYTES
    """The most bytes of one batch, as sent."""
    max_queued: Positive = 200_000
    """The most requests in processing that the organisation is allowed."""
    poll_interval_s: Annotated[Seconds, Field(alias="poll_interval")] = 30.0
    """How often a batch is asked for at first."""
    max_poll_interval_s: Annotated[Seconds, Field(alias="max_poll_interval")] = 300.0
    """How often a batch is asked for when the batch is older."""
    reconcile_wait_s: Annotated[Seconds, Field(alias="reconcile_wait")] = 600.0
    """How long a batch is looked for whose creation got no answer."""
    on_ambiguous: Literal["wait", "hold"] = "wait"
    """What is done when several batches may be the one that is looked for: their results are awaited, or a person
    decides."""
    fallback: Literal["stream", "none"] = "stream"
    """What becomes of unfinished documents when the deadline nears: they are streamed, or nothing is done."""

    @model_validator(mode="after")
    def _intervals_grow(self) -> Self:
        if self.poll_interval_s > self.max_poll_interval_s:
            raise refusal("`poll_interval` is longer than `max_poll_interval`", key="poll_interval")
        return self


class LimitsSection(Table):
    """[limits]: the organisation's rate limits for this model."""

    requests_per_minute: Positive | None = None
    """The most requests a minute; the default is what the API tells."""
    input_tokens_per_minute: Positive | None = None
    """The most input tokens a minute; the default is what the API tells."""
    output_tokens_per_minute: Positive | None = None
    """The most output tokens a minute; the default is what the API tells."""
    headroom: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of each limit that is used at most."""


class BudgetSection(Table):
    """[budget]: what a run may take."""

    max_cost_nusd: Annotated[NanoDollars, Field(alias="max_cost_usd", examples=["max_cost_usd = 5.00"])]
    """The most that a run may cost: nothing is sent when the upper bound of the estimate is above it."""
    max_tokens: Positive | None = None
    """The most tokens of a run, input of all classes and output together."""
    max_cost_per_document_nusd: Annotated[NanoDollars | None, Field(alias="max_cost_per_document_usd")] = None
    """The cap of all attempts that a run makes for one document."""
    cutoff: Literal["hard", "soft"] = "hard"
    """How the caps hold: hard never passes a cap; soft stops sending when the expected cost reaches a cap."""
    partial: bool = False
    """Whether a run begins although the budget is not enough for the whole run."""
    max_documents: Positive | None = None
    """The most documents that a run may send."""
    max_run_time_s: Annotated[LongSeconds | None, Field(alias="max_run_time")] = None
    """The longest time that one command runs; the default allows any time."""
    prices_file: Text | None = None
    """A file with prices that replace rows of the built-in table."""


class RetrySection(Table):
    """[retry]: how long one request is tried."""

    max_attempts: Positive = 6
    """The most attempts for one request."""
    initial_delay_s: Annotated[Seconds, Field(alias="initial_delay")] = 1.0
    """The pause before the second attempt."""
    max_delay_s: Annotated[Seconds, Field(alias="max_delay")] = 60.0
    """The longest pause between two attempts."""
    timeout_s: Annotated[Seconds, Field(alias="timeout")] = 120.0
    """The longest time of one attempt."""
    max_outage_s: Annotated[LongSeconds, Field(alias="max_outage")] = 900.0
    """How long an outage of the API is waited for before the run stops."""

    @model_validator(mode="after")
    def _delays_grow(self) -> Self:
        if self.initial_delay_s > self.max_delay_s:
            raise refusal("`initial_delay` is longer than `max_delay`", key="initial_delay")
        return self


class StoreSection(Table):
    """[store]: where answers and their history are kept."""

    database: Text = "results/batchrun.duckdb"
    """The DuckDB file with the rows."""
    table: Annotated[str, AfterValidator(matching(_TABLE_NAME.fullmatch, "a plain SQL name without a schema"))] = ""
    """The output table; named after the job when the file does not say."""
    ledger: Text = LEDGER
    """The file that knows what was sent, answered and paid; the jobs of a project share it."""

    @model_validator(mode="after")
    def _two_files(self) -> Self:
        if self.database == self.ledger:
            raise refusal("`ledger` and `database` are two files", key="ledger")
        return self


def _fits_the_job(cascade: CascadeSection | None, info: ValidationInfo) -> CascadeSection | None:
    """Hold a cascade against [model] and [output.fields]; a section with a problem of its own is not in `info`."""
    if cascade is None:
        return None
    if (model := info.data.get("model")) is not None:
        _is_the_only_chain(cascade, model)
    if (output := info.data.get("output")) is not None:
        _names_fields(cascade, output.fields)
    if not (cascade.escalate_on or cascade.null_in or cascade.evidence or cascade.documents_to_calibrate):
        raise refusal("nothing would ever be asked again", key="escalate_on", hint='such as ["invalid", "truncated"]')
    return cascade


def _is_the_only_chain(cascade: CascadeSection, model: ModelSection) -> None:
    if model.tier is not None:
        raise refusal("a tier has its own models", hint="take out [cascade], or `tier` in [model]")
    if {"fallbacks", "fallback_on"} & model.model_fields_set:
        hint = "take `fallbacks` and `fallback_on` out of [model]; `models` and `escalate_on` stand for them"
        raise refusal("it stands instead of the fallbacks of [model]", hint=hint)
    if model.name != cascade.models[0]:
        hint = f'leave `name` in [model] out, or write name = "{cascade.models[0]}"'
        raise refusal(f'the first of them is not "{model.name}" of [model]', key="models", hint=hint)


def _names_fields(cascade: CascadeSection, fields: Mapping[str, FieldSpec]) -> None:
    for key, names in (("null_in", cascade.null_in), ("evidence", cascade.evidence)):
        for name in names:
            if name not in fields:
                hint = f"fields: {', '.join(fields)}"
                raise refusal(f'there is no "{name}" in [output.fields]', key=key, hint=hint)
    if never := [name for name in cascade.null_in if not fields[name].may_be_null]:
        hint = f'give it a type with ?, such as type = "{fields[never[0]].type}?"'
        raise refusal(f'"{never[0]}" is never null', key="null_in", hint=hint)
    if other := [name for name in cascade.evidence if not isinstance(fields[name], TextField)]:
        raise refusal(f'"{other[0]}" is no string field', key="evidence", hint="name a field that quotes the document")


class JobSpec(Table):
    """A whole job file."""

    version: Literal[1] = 1
    """The version of the format of job files."""
    job: JobSection
    source: Source
    model: ModelSection
    provider: ProviderSection = ProviderSection()
    providers: NamedProviders = Field(default_factory=dict)
    """Providers by the names that stand before the names of models, as in `home/llama3`."""
    prompt: PromptSection
    output: Annotated[OutputSection, AfterValidator(fits_the_source)]
    cascade: Annotated[CascadeSection | None, AfterValidator(_fits_the_job)] = None
    run: RunSection = RunSection()
    pilot: PilotSection = PilotSection()
    tune: TuneSection = TuneSection()
    batch: BatchSection = BatchSection()
    limits: LimitsSection = LimitsSection()
    budget: BudgetSection
    retry: RetrySection = RetrySection()
    store: StoreSection = StoreSection()
    gold: Annotated[GoldSection | None, AfterValidator(fits_the_fields)] = None
    check: CheckSections = ()
    """What must be true of the output. No request depends on a check."""
    review: ReviewSection | None = None
    report: ReportSection = ReportSection()
    metrics: MetricsSection = MetricsSection()
    notify: Annotated[NotifySection, AfterValidator(starts_no_program)] = NotifySection()

    @model_validator(mode="before")
    @classmethod
    def _table_named_after_job(cls, values: Any) -> Any:
        match values:
            case {"job": {"name": str(name)}} if _JOB_NAME.fullmatch(name):
                store = values.get("store", {})
                return {**values, "store": {"table": table_for(name), **store}} if isinstance(store, dict) else values
            case _:
                return values

    @model_validator(mode="before")
    @classmethod
    def _first_of_cascade(cls, values: Any) -> Any:
        """Fill in the name of the model: the first model of a cascade needs no second mention in [model]."""
        match values:
            case {"model": dict(model), "cascade": {"models": [str(first), *_]}} if not {"name", "tier"} & model.keys():
                return {**values, "model": {"name": first, **model}}
            case _:
                return values


def table_for(job_name: str) -> str:
    """Return the name of the output table of a job that names no table."""
    name = job_name.replace("-", "_")
    return f"_{name}" if name[0].isdigit() else name
