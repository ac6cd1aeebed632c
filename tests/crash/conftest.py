"""What crash tests share: processes to kill."""

from collections.abc import Iterator

import pytest
from command_line import clean_environment
from submits import SubmitServer


@pytest.fixture(scope="session")
def submits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SubmitServer]:
    """Starts submits in processes of their own."""
    outputs = tmp_path_factory.mktemp("outputs")
    with SubmitServer(clean_environment(outputs), outputs) as server:
        yield server
