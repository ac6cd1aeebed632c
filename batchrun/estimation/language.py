"""A guess in which language a text is, by its commonest words or by its script. No estimate depends on the guess."""

import re
import unicodedata
from collections import Counter

from batchrun.estimation.text_class import TextClass, text_class

_LOOKED_AT = 20_000
_LEAST_SHARE = 0.06
"""The share of the words that the commonest words of a language must have."""
_COMMONEST = {
    "English": "the of and to in is that for with this are was not have from be by on it as",
    "German": "der die das und ist nicht ein eine mit von zu den für auf sich dem des wir sie auch im wird",
    "French": "le la les des et est une dans que pour qui sur pas avec vous nous au par du ce",
    "Spanish": "el la los las de y que en un una por con para es no se del su al como",
    "Italian": "il di che e la per un una non del della con sono si le gli dei nel alla da",
    "Portuguese": "o os as de e que em um uma para não com por se do da no na ao dos",
    "Dutch": "de het een en van is dat niet met voor op zijn te aan er wij deze door naar ook",
    "Polish": "i w na z do nie się że jest o jak to za od po przez dla są oraz został",
}
"""Some of the commonest words of each language. Which language has most of them is enough for a guess."""


def language(text: str) -> str | None:
    """Guess the language of a text, or name its script. Returns None for a text that tells neither."""
    letters = [letter for letter in text[:_LOOKED_AT] if letter.isalpha()]
    if letters and text_class(text) is TextClass.OTHER_SCRIPT:
        scripts = Counter(unicodedata.name(letter, "unknown").split()[0].title() for letter in letters)
        return f"{scripts.most_common(1)[0][0]} script"
    words = Counter(re.findall(r"[^\W\d_]+", text[:_LOOKED_AT].lower()))
    known = {name: sum(words[word] for word in common.split()) for name, common in _COMMONEST.items()}
    best, second = sorted(known, key=known.__getitem__, reverse=True)[:2]
    is_clear = known[best] > known[second] and known[best] >= _LEAST_SHARE * words.total()
    return best if is_clear else None
