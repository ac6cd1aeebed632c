"""[review] of the job file: which promise a review is to make about the answers, and about which fields."""

from typing import Annotated

from pydantic import Field, ValidationInfo

from batchrun.job.field_types import Table
from batchrun.job.gold_section import unknown_field
from batchrun.job.key_types import FieldNames


class ReviewSection(Table):
    """[review]: how many accepted values may be wrong. No request depends on a key of this section."""

    max_error: Annotated[float, Field(ge=0.001, le=0.2, examples=["max_error = 0.01"])]
    """The share of accepted fields that may be wrong, with 95% confidence."""
    fields: FieldNames = ()
    """The fields that are reviewed; empty for all fields."""
    seed: Annotated[int | None, Field(ge=0, le=2**32 - 1)] = None
    """Fixes which fields are drawn; None draws a seed when the audit opens."""


def reviews_known_fields(review: ReviewSection | None, info: ValidationInfo) -> ReviewSection | None:
    """Hold [review] against [output.fields]; an [output] with a problem of its own is not in `info`."""
    if review is not None and (output := info.data.get("output")) is not None:
        for name in review.fields:
            if name not in output.fields:
                raise unknown_field(name, output.fields, "fields")
    return review
