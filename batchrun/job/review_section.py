"""[review] of the job file: which promise a review is to make about the answers."""

from typing import Annotated

from pydantic import Field

from batchrun.job.field_types import Table


class ReviewSection(Table):
    """[review]: how many accepted values may be wrong. No request depends on this section."""

    max_error: Annotated[float, Field(ge=0.001, le=0.2, examples=["max_error = 0.01"])]
    """The share of accepted fields that may be wrong, with 95% confidence."""
