"""How many texts of known encoding are read right: by batchrun, and by charset-normalizer alone.

    python tests/benchmarks/text_encodings.py [FOLDER]

The texts are the translations that programs bring along (`*.mo` below FOLDER, /usr/share/locale by default), in the
usual codecs of their languages and in lengths from 60 bytes to 50 KB.

Of 1,081 texts from 3,700 translations, charset-normalizer 3.5.3 alone read 912 right (3.3.2: 875), batchrun 1,057, and
774 while near ties went to windows-1252 and UTF-32 and escape sequences were refused. Three are worse than alone: two
with a single sign beyond ASCII, and one in HZ, which is ASCII as well. A guess takes 5 ms.
"""

import gettext
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from charset_normalizer import from_bytes

from batchrun.documents.encoding import Undecodable, decode

SIZES = (60, 200, 700, 2_500, 10_000, 50_000)
WESTERN = ("cp1252", "iso8859-1", "iso8859-15", "cp850", "mac-roman")
CENTRAL = ("cp1250", "iso8859-2", "cp852")
CODECS = {
    **dict.fromkeys(("de", "fr", "es", "it", "pt", "nl", "sv", "da", "fi", "nb"), WESTERN),
    **dict.fromkeys(("cs", "pl", "hu", "sk", "sl", "hr", "ro"), CENTRAL),
    "ru": ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic", "cp855"),
    "uk": ("cp1251", "koi8-u"),
    "bg": ("cp1251", "iso8859-5"),
    "el": ("cp1253", "iso8859-7", "cp737"),
    "tr": ("cp1254", "iso8859-9", "cp857"),
    "he": ("cp1255", "iso8859-8", "cp862"),
    "ar": ("cp1256", "iso8859-6"),
    "lt": ("cp1257", "iso8859-13"),
    "lv": ("cp1257", "iso8859-13"),
    "et": ("cp1257", "cp1252"),
    "vi": ("cp1258",),
    "th": ("tis-620",),
    "ja": ("shift_jis", "euc-jp", "iso-2022-jp", "cp932"),
    "ko": ("euc-kr", "cp949", "iso-2022-kr", "johab"),
    "zh_CN": ("gb2312", "gbk", "gb18030", "hz"),
    "zh_TW": ("big5", "big5hkscs"),
}
ALL = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


@dataclass(frozen=True)
class Sample:
    """A text and its bytes."""

    language: str
    codec: str
    text: str
    data: bytes


def main() -> None:
    """Print a line for each group of codecs, and the samples that are worse than with charset-normalizer alone."""
    samples = list(_samples(Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/locale")))
    print(f"{len(samples)} texts")
    right = {name: _judge(name, read, samples) for name, read in (("alone", _alone), ("batchrun", _batchrun))}
    for codec in sorted({sample.codec for sample in samples}):
        at = [number for number, sample in enumerate(samples) if sample.codec == codec]
        print(f"{codec:14}", len(at), *(sum(right[name][number] for number in at) for name in right))
    worse = [number for number, _ in enumerate(samples) if right["alone"][number] and not right["batchrun"][number]]
    print("worse than alone:")
    for number in worse:
        print(f"  {samples[number].language} {samples[number].codec}, {len(samples[number].data)} bytes")


def _judge(name: str, read: Callable[[bytes], str | None], samples: list[Sample]) -> list[bool]:
    begin = time.process_time()
    right = [read(sample.data) == sample.text for sample in samples]
    print(f"{name}: {sum(right)} right, {time.process_time() - begin:.1f} s")
    return right


def _alone(data: bytes) -> str | None:
    best = from_bytes(data).best()
    return None if best is None else str(best).removeprefix("\ufeff")


def _batchrun(data: bytes) -> str | None:
    try:
        return decode(data, "auto").text
    except Undecodable:
        return None


def _samples(folder: Path) -> Iterator[Sample]:
    for language, codecs in CODECS.items():
        paragraphs = _paragraphs(folder / language / "LC_MESSAGES")
        for codec in (*codecs, *ALL):
            yield from _of_codec(language, codec, paragraphs)


def _of_codec(language: str, codec: str, paragraphs: list[str]) -> Iterator[Sample]:
    draw = random.Random(f"{language} {codec}")
    fitting = [text for text in paragraphs if text.encode(codec, "ignore").decode(codec) == text]
    for size in SIZES[:: 3 if codec.startswith("utf") else 1]:
        draw.shuffle(fitting)
        text, length = [], 0
        for paragraph in fitting:
            if length >= size:
                break
            text.append(paragraph)
            length += len(paragraph.encode(codec)) + 1
        joined = "\n".join(text)
        if joined and not joined.isascii():
            yield Sample(language, codec, joined, joined.encode(codec))


def _paragraphs(folder: Path) -> list[str]:
    found: dict[str, None] = {}
    for path in sorted(folder.glob("*.mo")):
        try:
            with path.open("rb") as file:
                catalog = gettext.GNUTranslations(file)._catalog
        except UnicodeDecodeError:  # an old one that is not in UTF-8
            continue
        found.update((text, None) for text in catalog.values() if len(text) >= 40 and "\r" not in text)
    return list(found)


if __name__ == "__main__":
    main()
