"""The reference of the job file is what the sections say today."""

from job_reference import PAGE, page


def test_the_reference_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "renew it: python tests/docs/job_reference.py"
