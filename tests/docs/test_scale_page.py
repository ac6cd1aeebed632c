"""The tables of docs/scale.md are those of `tests/benchmarks/scale.py`, whose simulation is held against arithmetic."""

import sys
from itertools import pairwise
from pathlib import Path

import pytest
from pages import page

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import scale


def test_the_tables_are_up_to_date() -> None:
    assert page("scale") == scale.page(page("scale")), "to write them anew: python tests/benchmarks/scale.py --renew"


@pytest.mark.parametrize(("nodes", "cores"), [(1, 4), (3, 2)])
def test_without_losses_reading_takes_the_work_over_the_cores(nodes: int, cores: int) -> None:
    found = scale.Cluster(100_000, 0.01, nodes, cores).run()
    assert found.wall_s == pytest.approx(1000 / nodes / cores, rel=0.05)
    assert (found.lost_nodes, found.read_again) == (0, 0)


def test_a_quick_cluster_waits_for_the_head() -> None:
    found = scale.Cluster(100_000, 1e-6, 4, 16).run()
    assert found.wall_s == pytest.approx(100_000 * scale.HEAD_US / 1e6, rel=0.01)


def test_more_losses_take_longer_and_every_document_is_read() -> None:
    found = [scale.Cluster(200_000, 0.1, 4, 8, losses).run() for losses in (0, 20, 200)]
    assert all(one.wall_s < other.wall_s for one, other in pairwise(found))
    assert found[0].read_again < found[1].read_again < found[2].read_again
    assert found[2].lost_nodes > 4


def test_the_binding_limit_decides() -> None:
    assert scale.api_hours(600_000, requests=10_000) == 1
    assert scale.api_hours(600_000, requests=10_000, input_tokens=10**6, output_tokens=10**9, of_document=(100, 1)) == 1
    assert scale.api_hours(600_000, requests=10_000, input_tokens=10**6, output_tokens=10**9, of_document=(200, 1)) == 2
