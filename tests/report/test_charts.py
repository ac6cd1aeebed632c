"""Charts: ticks that people can read, and SVG that is whole, inert and the same each time."""

import itertools
from xml.etree import ElementTree as ET

import pytest

from batchrun.report.charts.bars import Bar, Piece, bars
from batchrun.report.charts.plot import HEIGHT, WIDTH, Plot
from batchrun.report.charts.scale import Axis, nice, time_axis, up_to

HOSTILE = "<img src=x onerror=alert(1)> & \"'\x00\u202e"


@pytest.mark.parametrize(
    ("rough", "step"), [(0, 1), (0.3, 0.5), (1, 1), (1.1, 2), (2.1, 5), (51, 100), (1e-9, 1e-9), (0.2, 0.2)]
)
def test_steps_are_1_2_or_5(rough, step):
    assert nice(rough) == pytest.approx(step)


@pytest.mark.parametrize("most", [0, 1e-7, 0.0417, 1, 7, 39.99, 40, 123_456])
def test_an_axis_has_some_ticks_with_different_words_and_holds_its_values(most):
    axis = up_to(most, "x", "${0:,.{1}f}")
    words = [axis.shown(tick) for tick in axis.ticks()]
    assert axis.high >= most
    assert 2 <= len(words) == len(set(words)) <= 8


def test_counts_have_no_ticks_between_them():
    assert [up_to(2, "x", least_step=1).shown(tick) for tick in up_to(2, "x", least_step=1).ticks()] == ["0", "1", "2"]


@pytest.mark.parametrize(("low", "high"), [(1, 2), (900, 9_000), (3, 1_000_000), (50, 51)])
def test_a_log_axis_puts_equal_factors_at_equal_distances(low, high):
    axis = Axis(low, high, "x", is_log=True)
    middle = (low * high) ** 0.5
    assert (axis.share(low), axis.share(high)) == (0, 1)
    assert axis.share(middle) == pytest.approx(0.5)
    assert axis.share(0) == 0
    assert all(low <= tick <= high for tick in axis.ticks())


@pytest.mark.parametrize(("seconds", "unit"), [(0, "seconds"), (119, "seconds"), (3_000, "minutes"), (1e6, "days")])
def test_times_have_a_unit_that_suits(seconds, unit):
    assert time_axis(seconds)[0].label == f"{unit} since the start"


def drawn():
    plot = Plot(up_to(10, HOSTILE), up_to(5, "dollars"))
    points = [(number, number % 4) for number in range(11)]
    return [
        plot.drawn("a", HOSTILE, HOSTILE, plot.line(points, "c1", [HOSTILE] * 11), plot.band(points, points[:2]),
                   plot.mark((3, 3), "square", "c2", HOSTILE), plot.box((1, 0), (2, 3), "bar", HOSTILE),
                   plot.across(4, HOSTILE), plot.upright(99, HOSTILE)),
        bars("b", HOSTILE, HOSTILE, [Bar(HOSTILE * 9, [Piece(2, "c1", HOSTILE), Piece(1, "stripes")], HOSTILE)]),
        bars("c", "empty", "nothing", []),
    ]  # fmt: skip


def test_charts_are_xml_with_a_title_and_a_description_that_a_screen_reader_finds():
    for svg in drawn():
        root = ET.fromstring(svg)
        ids = {element.get("id"): element for element in root.iter() if element.get("id")}
        assert root.get("role") == "img"
        assert all(ids[name].text for name in root.get("aria-labelledby").split())
        assert not {element.tag for element in root.iter()} & {"img", "script", "style", "a", "foreignObject"}
        assert not any(name.startswith("on") or name == "style" for one in root.iter() for name in one.attrib)


def test_charts_are_the_same_bytes_each_time():
    assert drawn() == drawn()


def test_what_lies_outside_of_an_axis_is_drawn_at_its_end():
    plot = Plot(Axis(0, 1, "x"), Axis(0, 1, "y"))
    for point in itertools.product((-5, 0.5, 9), repeat=2):
        x, y = plot.at(point)
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
