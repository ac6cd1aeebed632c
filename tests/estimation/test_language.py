"""Which language a text seems to be in: a guess from its commonest words, or its script."""

import pytest

from batchrun.estimation.language import language


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The parties agree that this contract is governed by the law of the State of Delaware.", "English"),
        ("Die Parteien sind sich einig, dass der Vertrag nicht vor dem 3. Mai mit der Zahlung beginnt.", "German"),
        ("Les parties conviennent que le contrat est régi par la loi du lieu dans lequel une livraison", "French"),
        ("Las partes acuerdan que el contrato se rige por la ley del lugar en que se entrega", "Spanish"),
        ("Strony uzgadniają, że umowa nie jest ważna do dnia, w którym się spotkają na Rynku", "Polish"),
        ("Договор вступает в силу третьего мая две тысячи двадцать шестого года", "Cyrillic script"),
        ("契約は五月三日に発効する。", "Cjk script"),
        ("12 345,67 EUR 2026-05-03", None),
        ("Pellworth Timber Ltd", None),
        ("", None),
    ],
)
def test_a_guess(text: str, name: str | None) -> None:
    assert language(text) == name
