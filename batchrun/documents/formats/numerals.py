"""Numbers of lists as people see them: 3 as "iii", "c", "3rd", "third" or "三"."""

from collections.abc import Callable, Mapping

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_RUSSIAN = "абвгдежзиклмнопрстуфхцчшщыэюя"  # as Word counts: without ё, й, ъ and ь
_MOST_LETTERS = 30
_CHINESE = "〇一二三四五六七八九"
_SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    "ten",
    "eleven",
    "twelve",
    *(f"{stem}teen" for stem in ("thir", "four", "fif", "six", "seven", "eigh", "nine")),
)
_CARDINALS = (*_SMALL, *_TEENS)
_TENS = tuple(f"{stem}ty" for stem in ("twen", "thir", "for", "fif", "six", "seven", "eigh", "nine"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth",
    "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip


def decimal(value: int) -> str:
    """Return 3."""
    return str(value)


def roman(value: int) -> str:
    """Return iii; digits for what Romans could not write."""
    if not 0 < value < 4000:
        return str(value)
    text = ""
    for amount, letters in _ROMAN:
        count, value = divmod(value, amount)
        text += letters * count
    return text


def letters(value: int, alphabet: str = _LATIN) -> str:
    """Return c; after z comes aa, then bb."""
    times, index = divmod(value - 1, len(alphabet))
    return alphabet[index] * (times + 1) if value > 0 and times < _MOST_LETTERS else str(value)


def letters_in_columns(value: int) -> str:
    """Return c; after z comes aa, then ab, as the columns of a sheet are named."""
    text = ""
    while value > 0:
        value, index = divmod(value - 1, len(_LATIN))
        text = _LATIN[index] + text
    return text


def ordinal(value: int) -> str:
    """Return 3rd."""
    ending = "th" if 10 <= value % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def cardinal_word(value: int) -> str:
    """Return Three, up to a hundred."""
    return _word(value).capitalize()


def ordinal_word(value: int) -> str:
    """Return Third, up to a hundred."""
    if not 0 < value < 100:
        return ordinal(value)
    head, hyphen, last = _word(value).rpartition("-")
    ending = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return f"{head}{hyphen}{ending}".capitalize()


def chinese(value: int) -> str:
    """Return 三, up to a hundred."""
    if not 0 < value < 100:
        return str(value)
    tens, ones = divmod(value, 10)
    head = "" if tens == 0 else "十" if tens == 1 else f"{_CHINESE[tens]}十"
    return head + (_CHINESE[ones] if ones else "")


def in_circle(value: int) -> str:
    """Return ③, up to twenty."""
    return chr(0x245F + value) if 0 < value <= 20 else str(value)


def _word(value: int) -> str:
    if not 0 < value < 100:
        return str(value)
    if value < 20:
        return _CARDINALS[value]
    tens, ones = divmod(value, 10)
    return f"{_TENS[tens - 2]}-{_CARDINALS[ones]}" if ones else _TENS[tens - 2]


NUMBER_FORMATS: Mapping[str, Callable[[int], str]] = {
    "decimalZero": lambda value: f"{value:02}",
    "lowerLetter": letters,
    "upperLetter": lambda value: letters(value).upper(),
    "lowerRoman": roman,
    "upperRoman": lambda value: roman(value).upper(),
    "ordinal": ordinal,
    "cardinalText": cardinal_word,
    "ordinalText": ordinal_word,
    "russianLower": lambda value: letters(value, _RUSSIAN),
    "russianUpper": lambda value: letters(value, _RUSSIAN).upper(),
    "decimalEnclosedCircle": in_circle,
    "decimalEnclosedParen": lambda value: f"({value})",
    "numberInDash": lambda value: f"- {value} -",
    "chineseCounting": chinese,
    "chineseCountingThousand": chinese,
    "ideographDigital": chinese,
    "japaneseCounting": chinese,
    "taiwaneseCountingThousand": chinese,
}
"""The number formats by their names in Word; one that is not listed is written in digits."""
