"""What every reader of a format promises."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from format_samples import SAMPLES, Sample, damaged

from batchrun.documents.formats import FORMATS, Attached, Format, Found, Part, ReadOptions, Unusable
from batchrun.documents.formats.recognition import recognise

DAMAGED_PDFS = """
import sys
sys.path.insert(0, sys.argv[1])
from format_samples import SAMPLES, damaged
from test_formats_contract import require_unharmed
from batchrun.documents.formats import FORMATS
for data in (*damaged(SAMPLES["pdf"].data, copies=1000), *(other.data for other in SAMPLES.values())):
    require_unharmed(FORMATS["pdf"], data)
print("all read")
"""


# The library of PDFs may end the process, which would be the end of all tests, so broken PDFs are read in another.
READ_HERE = [name for name in FORMATS if name != "pdf"]


@pytest.fixture(params=FORMATS)
def one(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


@pytest.fixture
def sample(one: Format) -> Sample:
    return SAMPLES[one.name]


def found_in(one: Format, data: bytes) -> list[Found]:
    return list(one.read(data, ReadOptions()))


def parts_of(one: Format, data: bytes) -> list[Part]:
    return [found for found in found_in(one, data) if isinstance(found, Part)]


def require_unharmed(one: Format, data: bytes) -> None:
    """Read hostile bytes. The reader may refuse them, and does nothing else that is wrong."""
    try:
        parts = parts_of(one, data)
    except Unusable:
        return
    for part in parts:
        require_clean(part)


def require_clean(part: Part) -> None:
    assert not {"\0", "\r", "\ufffe"} & set(part.text)
    part.text.encode()  # a half of a character cannot be sent
    starts = [place.start for place in part.places]
    assert starts == sorted(starts)
    assert all(0 <= start <= len(part.text) for start in starts)


def test_the_sample_is_recognised(one: Format, sample: Sample) -> None:
    assert recognise(sample.data, sample.name) == one.name
    assert Path(sample.name).suffix in one.suffixes


def test_the_text_is_right(one: Format, sample: Sample) -> None:
    (part,) = parts_of(one, sample.data)

    assert part.text == sample.text
    assert part.pages == sample.pages


def test_places_name_what_is_there(one: Format, sample: Sample) -> None:
    (part,) = parts_of(one, sample.data)

    found = iter([(place.kind, place.name) for place in part.places])
    assert all(expected in found for expected in sample.places)
    for place in part.places:
        if place.kind == "heading":
            assert part.text.startswith(place.name, place.start)


def test_parts_are_clean(one: Format, sample: Sample) -> None:
    for part in parts_of(one, sample.data):
        require_clean(part)


def test_the_same_bytes_give_the_same_text(one: Format, sample: Sample) -> None:
    assert found_in(one, sample.data) == found_in(one, sample.data)


def test_names_of_what_is_found_differ(one: Format, sample: Sample) -> None:
    names = [found.name for found in found_in(one, sample.data)]

    assert len(names) == len(set(names))
    assert all(found.name for found in found_in(one, sample.data) if isinstance(found, Attached))


def test_an_empty_file_has_no_text(one: Format) -> None:
    with suppress(Unusable):
        assert not "".join(part.text for part in parts_of(one, b""))


@pytest.mark.parametrize("name", READ_HERE)
def test_files_of_other_formats_are_read_or_unusable(name: str) -> None:
    for other in SAMPLES.values():
        require_unharmed(FORMATS[name], other.data)


@pytest.mark.parametrize("name", READ_HERE)
def test_damaged_files_are_read_or_unusable(name: str) -> None:
    for data in damaged(SAMPLES[name].data):
        require_unharmed(FORMATS[name], data)


@pytest.mark.slow
def test_damaged_pdfs_are_read_or_unusable() -> None:
    command = [sys.executable, "-c", DAMAGED_PDFS, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "all read", "")


def test_the_reader_is_named_with_its_library(one: Format) -> None:
    assert one.reader.startswith(f"{one.name}/{one.revision}")
    assert (one.distribution or "") in one.reader
