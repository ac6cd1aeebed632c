"""The keys of [source]: where documents come from, and what becomes of those that cannot be asked as they are."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from batchrun.escaping import escape_control
from batchrun.job.field_types import Table
from batchrun.job.key_types import Positive, Text, Texts, distinct
from batchrun.job.table_names import database_name, file_place
from batchrun.job.template import Template, TemplateError
from batchrun.job.units import CacheBytes
from batchrun.job.value_errors import matching, one_of, refusal, wrong_value


def _is_text_codec(name: str) -> bool:
    try:
        "".encode(name)
    except (LookupError, ValueError):
        return name == "auto"
    return True


FORMATS = ("text", "pdf", "docx", "pptx", "odt", "epub", "rtf", "html", "eml", "mbox", "sheets")
"""The formats that files are read by."""


def _known_format(name: str) -> str:
    if name != "auto" and name not in FORMATS:
        raise one_of(("auto", *FORMATS))
    return name


FILE_COLUMNS = {"path": "VARCHAR", "size": "BIGINT", "modified": "TIMESTAMP WITH TIME ZONE", "pages": "BIGINT"}
"""What a file has for the output, with the types there."""
MOST_COLUMNS = 100


def _distinct_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) > MOST_COLUMNS:
        raise refusal(f"{len(names)} columns, and rows may take {MOST_COLUMNS} along")
    if invisible := next((name for name in names if escape_control(name) != name), None):
        raise refusal(f"{escape_control(invisible)} is no name of a column", hint="leave out invisible characters")
    distinct(tuple(name.lower() for name in names))
    return names


class _SourceSection(Table):
    max_document_tokens: Positive | None = None
    """The most tokens of a document; the context window of the model always counts as well."""
    on_oversize: Literal["refuse", "skip", "truncate", "split"] = "refuse"
    """What becomes of a document that is too large: it refuses the run, is skipped, loses its end, or is split into
    parts."""
    split_tokens: Positive | None = None
    """The most tokens of a part; by default only documents that are too large are split."""
    split_overlap_tokens: Annotated[int, Field(ge=0, le=10**12)] = 200
    """What neighbouring parts share, so that nothing short is cut in two; a quarter of a part if that is less."""
    merge: Literal["rules", "model"] = "rules"
    """What makes one answer of the answers over a document's parts: the rules of the fields, or one more request."""
    on_empty: Literal["fail", "skip"] = "fail"
    """What becomes of a document without text: it fails, or is skipped."""
    on_unreadable: Literal["fail", "skip"] = "fail"
    """What becomes of a document that cannot be read, such as a scan or a file with a password."""
    on_removed: Literal["keep", "drop"] = "keep"
    """What becomes of the rows of documents that are no longer in the source."""
    columns: Annotated[Texts, AfterValidator(_distinct_columns)] = ()
    """The columns of the source that the output gets as `src_…`."""
    text_cache: CacheBytes = 2_000_000_000
    """The most bytes of texts of PDFs and the like that are kept beside the ledger; off keeps none."""

    @model_validator(mode="after")
    def _splits_sensibly(self) -> Self:
        given = [key for key in ("split_tokens", "split_overlap_tokens", "merge") if key in self.model_fields_set]
        if given and self.on_oversize != "split":
            raise refusal("nothing is split", key=given[0], hint='write on_oversize = "split", or take this key out')
        if "split_overlap_tokens" in given and self.split_tokens and self.split_overlap_tokens > self.split_tokens // 4:
            hint = f"at most a quarter of split_tokens, {self.split_tokens // 4}; 0 for no overlap"
            raise refusal("parts would share too much of their text", key="split_overlap_tokens", hint=hint)
        return self


class FilesSourceSection(_SourceSection):
    """[source] with type = "files": one document for each file."""

    type: Annotated[Literal["files"], Field(examples=['type = "files"'])]
    """Says that documents are files."""
    include: Annotated[Texts, Field(min_length=1, examples=['include = ["documents/*.txt"]'])]
    """The patterns of the files, such as `letters/**`, from the project's folder on; or `s3://…` and `gs://…`."""
    exclude: Texts = ()
    """The patterns of files and folders that are left out."""
    encoding: Annotated[
        str, AfterValidator(matching(_is_text_codec, '"auto" or a codec such as "utf-8" or "cp1252"'))
    ] = "auto"
    """The codec of texts; auto stands for UTF-8, and else a guess that is told."""
    format: Annotated[str, AfterValidator(_known_format), WithJsonSchema({"enum": ["auto", *FORMATS]})] = "auto"
    """The format of all files; auto tells each file's format by its content."""
    attachments: bool = True
    """Whether the attachments of mail are documents of their own."""
    rows: bool = False
    """Whether each row of a sheet is a document of its own."""
    pdf: Literal["text", "native", "auto"] = "text"
    """What is sent of PDFs: their text, the files themselves, or the files that have no text. Images are like these."""
    id: Literal["relpath", "stem"] = "relpath"
    """What names a document: its path below the project or its address, or its name without the ending."""

    @model_validator(mode="after")
    def _looks_somewhere(self) -> Self:
        places = {file_place(text, key="include") for text in self.include}
        if elsewhere := next((text for text in self.exclude if file_place(text, key="exclude") not in places), None):
            hint = 'in a bucket, write the whole address, such as "s3://bucket/**/drafts"'
            raise refusal(
                f'"{elsewhere}" leaves nothing out, because include looks elsewhere', key="exclude", hint=hint
            )
        return self

    @model_validator(mode="after")
    def _has_columns(self) -> Self:
        unknown = [name for name in self.columns if name not in FILE_COLUMNS]
        if unknown and not self.rows:  # the rows of sheets have columns of their own
            hint = f"columns of files: {', '.join(FILE_COLUMNS)}"
            raise refusal(f'files have no column "{unknown[0]}"', key="columns", hint=hint)
        return self


class DuckdbSourceSection(_SourceSection):
    """[source] with type = "duckdb": one document for each row of a query."""

    type: Annotated[Literal["duckdb"], Field(examples=['type = "duckdb"'])]
    """Says that documents are the rows of a query."""
    database: Annotated[Text, AfterValidator(database_name), Field(examples=['database = "sample_data/inbox.duckdb"'])]
    """The DuckDB file, which is opened for reading only."""
    query: Annotated[Text, Field(examples=['query = "SELECT ticket_id AS id, body AS text FROM tickets"'])]
    """One SELECT with the columns `id` and `text`; other columns are `{{ doc.<column> }}` in the prompt."""


def _one_or_more(value: object) -> object:
    if not (isinstance(value, list) or (isinstance(value, str) and value.strip())):
        raise wrong_value('a path such as "tickets/*.csv", or a list of paths')
    return [value] if isinstance(value, str) else value


def _column_or_template(text: str) -> str:
    try:
        Template.parse(text)
    except TemplateError as error:
        raise refusal(str(error), hint=error.hint) from error
    return text


class TableSourceSection(_SourceSection):
    """[source] with type = "table": one document for each row of some files."""

    type: Annotated[Literal["table"], Field(examples=['type = "table"'])]
    """Says that documents are the rows of tables."""
    path: Annotated[
        Texts,
        BeforeValidator(_one_or_more, json_schema_input_type=Text | Texts),
        Field(min_length=1, examples=['path = "tickets/*.csv"']),
    ]
    """A path or pattern of tables, or a list of them: csv, tsv, jsonl, parquet, workbooks."""
    id: Annotated[Text | None, Field(examples=['id = "ticket_id"'])] = None
    """The column with the id of each row, without gaps and repeats. Required: an error without it names the columns."""
    text: Annotated[Annotated[Text, AfterValidator(_column_or_template)] | None, Field(examples=['text = "body"'])] = (
        None
    )
    """The column with the text of each row, or a template over columns such as `{{ doc.subject }}`. Required."""
    sheet: Text | None = None
    """The sheet of a workbook; the default is the first."""


class MemorySourceSection(_SourceSection):
    """[source] with type = "memory": documents that a program gives to the job, as `doc_id`, `text` and columns."""

    type: Annotated[Literal["memory"], Field(examples=['type = "memory"'])]
    """Says that a program gives the documents: `batchrun.open(path, documents=…)`."""


_SOURCE_TYPES = ("files", "table", "duckdb", "memory")


def _known_source(value: object) -> object:
    if isinstance(value, dict) and value.get("type") not in _SOURCE_TYPES:
        if "type" not in value:
            raise refusal("a source needs a `type`", hint='type = "files", type = "table" or type = "duckdb"')
        raise one_of(_SOURCE_TYPES, key="type")
    return value


def _source_tag(value: Any) -> str | None:
    return f"<{value['type']}>" if isinstance(value, dict) else None


Source = Annotated[
    Annotated[FilesSourceSection, Tag("<files>")]
    | Annotated[TableSourceSection, Tag("<table>")]
    | Annotated[DuckdbSourceSection, Tag("<duckdb>")]
    | Annotated[MemorySourceSection, Tag("<memory>")],
    Discriminator(_source_tag),
    BeforeValidator(_known_source),
]
