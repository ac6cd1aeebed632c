"""[gold] of the job file: where the right answers for some documents are, and how answers are held against them."""

from collections.abc import Mapping
from typing import Annotated, Any, Self, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from batchrun.job.field_types import FieldSpec, Table
from batchrun.job.key_types import FieldNames, Share, Text
from batchrun.job.match_rules import MatchName, MatchRule, rule_for, suiting_rules
from batchrun.job.problems import did_you_mean
from batchrun.job.table_names import READABLE, is_remote, table_kind
from batchrun.job.value_errors import one_of, refusal, wrong_value

_KEY_OF = {"tolerance": "number", "threshold": "tokens", "ignore_legal_form": "names"}
"""The keys of a rule that only one rule has."""
DATABASE_ENDINGS = (".duckdb", ".db", ".ddb")


class MatchSection(Table):
    """[gold.match]: the rule of one field, which says when an answer is right."""

    rule: MatchName
    """The name of the rule, which has to suit the type of the field."""
    tolerance: Annotated[float, Field(ge=0, le=1)] = 0.0
    """With `number`: how far off a right number may be, as a share of the label, and of 1 for smaller labels."""
    threshold: Annotated[Share, Field(gt=0)] = 0.5
    """With `tokens`: the least F1 of the words of a right answer."""
    ignore_legal_form: bool = False
    """With `names`: whether legal forms such as Inc. and GmbH are left out at the end of a name."""

    @model_validator(mode="after")
    def _has_its_own_keys(self) -> Self:
        for key, rule in _KEY_OF.items():
            if key in self.model_fields_set and rule != self.rule:
                raise refusal(f'`{key}` belongs to the rule "{rule}"', key=key, hint="take it out")
        return self

    def of(self, field: FieldSpec) -> MatchRule:
        """Return the rule for a field that the rule suits."""
        wish = MatchRule(self.rule, self.tolerance, self.threshold, self.ignore_legal_form)
        return rule_for(field, wish)


def _spelt_out(value: object) -> object:
    if isinstance(value, str):
        if value not in (names := get_args(MatchName)):
            raise one_of(names)
        return {"rule": value}
    if not isinstance(value, dict):
        raise wrong_value('a rule such as "casefold", or a table such as { rule = "number", tolerance = 0.01 }')
    return value


class GoldSection(Table):
    """[gold]: a table with the right answers for some documents."""

    path: Annotated[Text, Field(examples=['path = "labels.csv"'])]
    """The file with the labels: csv, tsv, jsonl, parquet, a workbook, or a DuckDB file."""
    table: Text | None = None
    """The table of a DuckDB file; every other file is a table itself."""
    id: Text | None = None
    """The column with the ids of the documents; the default is doc_id, or else id, as `results` writes it."""
    fields: FieldNames = ()
    """The fields that are held against their labels; the default is every field that has a column."""
    match: dict[
        str, Annotated[MatchSection, BeforeValidator(_spelt_out, json_schema_input_type=MatchName | MatchSection)]
    ] = Field(default_factory=dict)
    """When an answer is right, by field: the name of a rule, or a table with one; the default follows the type."""

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        if self.is_database and self.table is None:
            raise refusal("a DuckDB file has tables", key="path", hint='name one, such as table = "labels"')
        if self.table is not None and not self.is_database:
            hint = f"a DuckDB file has a name that ends with {' or '.join(DATABASE_ENDINGS)}"
            raise refusal("only a DuckDB file has tables", key="table", hint=f"take it out; {hint}")
        if is_remote(self.path):
            raise refusal("labels are read from disk", key="path", hint="download the file, and name the copy")
        if not self.is_database and table_kind(self.path) is None:
            hint = f"name a file that ends with {READABLE}, or a DuckDB file and its table"
            raise refusal("no table, by its name", key="path", hint=hint)
        return self

    @property
    def is_database(self) -> bool:
        """Whether the labels are in a DuckDB file."""
        return self.path.lower().endswith(DATABASE_ENDINGS)


def fits_the_fields(gold: GoldSection | None, info: ValidationInfo) -> GoldSection | None:
    """Hold [gold] against [output.fields]; a section with a problem of its own is not in `info`."""
    output: Any = info.data.get("output")
    if gold is None or output is None:
        return gold
    for name in gold.fields:
        if name not in output.fields:
            raise unknown_field(name, output.fields, ("fields",))
    for name, given in gold.match.items():
        if name not in output.fields:
            raise unknown_field(name, output.fields, ("match", name))
        if given.rule not in (rules := suiting_rules(output.fields[name])):
            sentence = f'"{given.rule}" is no rule for a field of type {output.fields[name].kind}'
            hint = "one of " + ", ".join(f'"{rule}"' for rule in rules)
            raise refusal(sentence, key=("match", name), hint=hint)
    return gold


def unknown_field(name: str, fields: Mapping[str, FieldSpec], key: str | tuple[str, ...]) -> Exception:
    """Make the error for the name of a field that the job does not have."""
    close = did_you_mean(name, fields)
    hint = f"did you mean {close}?" if close else f"fields: {', '.join(fields)}"
    return refusal(f'there is no "{name}" in [output.fields]', key=key, hint=hint)
