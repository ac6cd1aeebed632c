"""RTF: code pages, cells, what is hidden, and what is broken."""

import time

import pytest

from batchrun.documents.formats import Part, ReadOptions, Unusable
from batchrun.documents.formats.rtf import read

TEXTS = {
    "escapes": (rb"{\rtf1 caf\'e9 \{x\} \\y}", "café {x} \\y"),
    "a code page": (rb"{\rtf1\ansi\ansicpg1251 \'e4\'e0}", "да"),
    "a font's code page": (rb"{\rtf1\ansicpg1252{\fonttbl{\f1\fcharset161 A;}}\f1 \'eb}", "λ"),
    "bytes beyond ASCII": (b"{\\rtf1\\ansi\\ansicpg1251 " + "да".encode("cp1251") + b"}", "да"),
    "pairs of bytes": (b"{\\rtf1\\ansi\\ansicpg932 " + "契約".encode("cp932") + b"}", "契約"),
    "unicode": (rb"{\rtf1\uc1 \u8364? \u-10179?\u-8704?}", "€ 😀"),
    "lines": (rb"{\rtf1 a\line b\par c\par\par\par\par d\par}", "a\nb\nc\n\nd"),
    "cells": (rb"{\rtf1 \trowd\cellx1\cellx2 a\cell b\cell\row c\cell\cell\row}", "a\tb\nc"),
    "a backslash before a word": (rb"{\rtf1 a\\cell b\\bin5 \\v x}", "a\\cell b\\bin5 \\v x"),
    "hidden": (rb"{\rtf1 a{\v no}b{\b\v no}c{\*\x\v1 no}d}", "abcd"),
    "hidden for a while": (rb"{\rtf1 a{\v b\v0 c}}", "abc"),
    "not hidden": (rb"{\rtf1 a{\v0 b}{\viewkind4 c}}", "abc"),
    "a picture": (rb"{\rtf1 a{\pict\wmetafile8 " + b"0f" * 5000 + rb"}b}", "ab"),
    "a picture in bytes": (b"{\\rtf1 a{\\pict\\bin6 }{}\\\xff{}b}", "ab"),
    "what is about the file": (rb"{\rtf1{\info{\title no}}{\*\generator no;}a}", "a"),
    "a link": (rb'{\rtf1 {\field{\*\fldinst{HYPERLINK "x"}}{\fldrslt{a}}}b}', "ab"),
    "cut off": (rb"{\rtf1 a{\b b", "ab"),
}


def text_of(data: bytes) -> str:
    (part,) = read(data, ReadOptions())
    assert isinstance(part, Part)
    return part.text


@pytest.mark.parametrize("case", TEXTS)
def test_text(case: str) -> None:
    data, text = TEXTS[case]

    assert text_of(data) == text


def test_a_number_that_is_none() -> None:
    with pytest.raises(Unusable, match="a broken RTF file"):
        text_of(rb"{\rtf1 \u9999999999 x}")


@pytest.mark.parametrize(
    "unit",
    [rb"{\v ", rb"\v ", rb"{\field{\*\fldinst{", rb"\bin1 ", rb"{\fonttbl{\f0\fcharset0 a;}", rb"{\*", rb"\pict\bin"],
)
def test_hostile_files_take_no_time(unit: bytes) -> None:
    began = time.process_time()

    text_of(rb"{\rtf1 " + unit * 20_000)

    assert time.process_time() - began < 10
