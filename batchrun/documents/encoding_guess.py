"""Guesses the codec of a text that is not Unicode: by charset-normalizer, and by the alphabets of languages.

charset-normalizer takes many codecs for equal, and some that hardly anybody uses. Here a codec counts for more if the
codec makes letters of one language of all that is not ASCII: as windows-1252, Hungarian has letters of two languages.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice

_USUAL = (
    *("cp1252", "cp1250", "cp1251", "cp1254", "cp1253", "cp1257", "cp1255", "cp1256", "iso8859_15", "iso8859_2"),
    *("koi8_r", "koi8_u", "cp866", "iso8859_5", "iso8859_9", "iso8859_7", "iso8859_13", "iso8859_8", "iso8859_6"),
    *("cp850", "cp437", "cp852", "mac_roman", "mac_cyrillic", "cp855", "cp857", "cp737", "cp775", "cp862"),
    "iso8859_4",
)
"""Codecs of one byte a sign that texts are found in, the commonest first."""
_OF_OTHER_SCRIPTS = {
    *("cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "mac_cyrillic", "cp855", "cp1253", "iso8859_7", "cp737"),
    *("cp1255", "iso8859_8", "cp862", "cp1256", "iso8859_6"),
}
_EXOTIC = {
    *("hp_roman8", "mac_iceland", "mac_latin2", "mac_turkish", "cp1125", "cp856", "cp858", "cp860", "cp861", "cp863"),
    *("cp865", "cp869", "iso8859_3", "iso8859_10", "iso8859_14", "iso8859_16", "kz1048", "ptcp154", "koi8_t", "cp720"),
}
"""Codecs that charset-normalizer knows, and that hardly any text is in."""
_TWINS = {"mac_iceland": "mac_roman", "cp1125": "cp866", "cp856": "cp862", "cp858": "cp850"}
"""The usual codec that an exotic one differs from in a few signs."""
_COMMON_SIGNS = {
    "euc_jp": (re.compile(rb"[\xa4\xa5]"), 0.15),  # hiragana and katakana
    "cp932": (re.compile(rb"[\x82\x83]"), 0.15),
    "cp949": (re.compile(rb"[\xa1-\xa3\xb0-\xc8]"), 0.9),  # the syllables in use
    "big5": (re.compile(rb"[\xa1-\xc6]"), 0.9),  # the level of signs in daily use
    "gb18030": (re.compile(rb"[\xa1-\xa3\xb0-\xd7]"), 0.8),
}
"""The first bytes of what is frequent in the languages of Asia, and the least share that these have in a text."""
_PAIR = re.compile(rb"[\x81-\xfe][\x40-\xfe]")
_MANY_PAIRS = 20
SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859_1": "cp1252",
    "latin_1": "cp1252",
    "iso8859_9": "cp1254",
    "tis_620": "cp874",
}
"""What programs write is named after a standard, and holds the signs that the standard's extension has."""

_RUSSIAN = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
_ALPHABETS = (
    *("äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúü", "àèéìíîòóùú", "áâãàçéêíóôõú", "áéëïóöü", "àçèéíïòóú"),
    *("åäöé", "æøåéôó", "áðéíóúýþæö", "çë", "äõöüšž"),
    *("áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "ąćęłńóśźż", "áéíóöőúüű", "ăâîşţ", "ăâîșț", "čćđšž"),
    *("āčēģīķļņšūž", "ąčęėįšųūž", "çğ\u0131öşüâîi\u0307"),
    *(_RUSSIAN + "ё", _RUSSIAN + "єіїґ", _RUSSIAN + "іў", _RUSSIAN + "ђјљњћџѓќѕ"),
    "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",
    "".join(map(chr, range(0x5B0, 0x5F5))),
    "ءآأؤإئابةتثجحخدذرزسشصضطظعغـفقكلمنهوىيًٌٍَُِّْپچژگ،؛؟",
)
"""The letters beyond ASCII of each language."""
_SETS = tuple(map(frozenset, _ALPHABETS))
_LOWER = "".join(sorted({char for char in "".join(_ALPHABETS) if char.upper() != char and len(char.upper()) == 1}))
_UPPER = _LOWER.upper()
_SIGNS = "«»„“”\u201a•§°©®™€£¿¡ºª№\xd7"
_PUNCTUATION = frozenset(_SIGNS + "\u2018\u2019…\u2013\u2014·\xa0\u200e\u200f")
_MISPLACED = re.compile(
    rf"[a-z{_LOWER}](?=[{_UPPER}])"  # a capital within a word
    r"|[A-Za-z](?=[\u0370-\u0fff])|[\u0370-\u0fff](?=[A-Za-z])"  # letters of two scripts in a word
    rf"|[^\W\d_](?=[{_SIGNS}][^\W\d_])"  # a sign within a word
)
_CAPITALS = re.compile(rf"[{_UPPER}](?=[{_UPPER}])|\b[{_UPPER}]\b")
_RARITY_OF_CAPITALS = 0.3
"""How much a capital beside a capital, or a capital alone, tells against a codec."""
_ASCII = re.compile("[\x00-\x7f]+")
_WORD_FROM_SIGN = re.compile(rb"[\x80-\xff][A-Za-z\x80-\xff]{0,60}")
_LETTERS_BEFORE = re.compile(rb"[A-Za-z]*\Z")
_MOST_LETTERS_BEFORE = 30
_READ_AT_MOST = 200_000
_LOOKED_AT = 20_000
_MOST_WORDS = 500
_IS_A_LANGUAGE = 0.9
_MOSTLY = 0.7
_HALF = 0.5


def guess(data: bytes) -> str | None:
    """Return the codec of a text, or None if no codec makes a text of the bytes."""
    found = _by_charset_normalizer(data)
    found = _TWINS.get(found or "", found)
    fits = _fits(data)
    if found in _OF_OTHER_SCRIPTS and fits.get(found, 0.0) >= _MOSTLY:
        return found  # the order of letters tells these apart, which the alphabet does not
    best = _best(fits, data)
    if fits.get(best[0], 0.0) < (_HALF if found in _EXOTIC else _IS_A_LANGUAGE):
        return found if found in fits else _asian(data, found) or found
    return found if found in best and best[0] != "cp1252" else best[0]


def _best(fits: Mapping[str, float], data: bytes) -> list[str]:
    """Return the codecs that fit best of those that can read all bytes; an empty name if there is none."""
    for fit in sorted(set(fits.values()), reverse=True):
        if usable := [codec for codec in fits if fits[codec] == fit and is_in(codec, data)]:
            return usable
    return [""]


def _asian(data: bytes, found: str | None) -> str | None:
    """Return the codec of two bytes a sign that makes frequent signs of the bytes, or the one that was found."""
    first = _WORD_FROM_SIGN.search(data)
    start = first.start() if first else 0
    pairs = _PAIR.findall(data, start, start + _READ_AT_MOST)
    superset = SUPERSETS.get(found or "", found)
    if superset and len(pairs) < _MANY_PAIRS:
        return superset if is_in(superset, data) else None
    for codec, (first_bytes, least) in _COMMON_SIGNS.items():
        common = sum(1 for pair in pairs if first_bytes.match(pair))
        if common > least * len(pairs) and is_in(codec, data):
            return codec
    return superset if superset and is_in(superset, data) else None


def _by_charset_normalizer(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    # UTF-16 and 32 are recognised before; here they would win with short texts, as any pair of bytes fits both.
    unicode = ["utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"]
    best = from_bytes(data, cp_exclusion=unicode).best()
    return best.encoding if best else None


def _fits(data: bytes) -> dict[str, float]:
    """Return how well each usual codec that can read some words fits one language, up to 1."""
    sample = b"\n".join(islice(dict.fromkeys(islice(_words(data), _LOOKED_AT)), _MOST_WORDS))
    return {codec: _fit(sample.decode(codec)) for codec in _USUAL if is_in(codec, sample)}


def _words(data: bytes) -> Iterator[bytes]:
    """Yield the words that have signs beyond ASCII."""
    for found in _WORD_FROM_SIGN.finditer(data):
        start = found.start()
        before = _LETTERS_BEFORE.search(data, max(0, start - _MOST_LETTERS_BEFORE), start)
        yield (before[0] if before else b"") + found[0]


def _fit(text: str) -> float:
    """Return the share of the signs beyond ASCII that one language explains."""
    beyond_ascii = _ASCII.sub("", text)
    signs, letters = Counter(beyond_ascii), Counter(beyond_ascii.lower())
    of_a_language = max(sum(letters[char] for char in letters.keys() & alphabet) for alphabet in _SETS)
    others = sum(signs[char] for char in signs.keys() & _PUNCTUATION)
    number = max(len(beyond_ascii), 1)
    if of_a_language + others < _HALF * number:
        return 0.0  # nothing that is out of place makes this any better
    odd = len(_MISPLACED.findall(text)) + _RARITY_OF_CAPITALS * len(_CAPITALS.findall(text))
    return (of_a_language + others - odd) / number


def is_in(codec: str, data: bytes) -> bool:
    """Whether the bytes can be read in a codec."""
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
