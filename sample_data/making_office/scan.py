"""A delivery note as a scanner sees it: an image, a little crooked, with dust; the PDF has no text."""

from making_office.pdf import image_pdf
from making_office.pixel_font import GLYPH_WIDTH, GLYPHS

_WIDTH, _HEIGHT = 832, 1176
"""A4 at about 100 dots an inch; whole bytes a row."""
_CROOKED = 120
"""So many rows further down, the paper lies one dot further to the right."""
_DUST = 400
_LINES = (
    (70, 70, 4, "KESTWICK TOOLS LTD"),
    (70, 112, 2, "UNIT 3, FORGE LANE, KESTWICK KW2 8TT"),
    (70, 180, 3, "DELIVERY NOTE 2231"),
    (70, 232, 2, "DATE: 14 SEPTEMBER 2026"),
    (70, 260, 2, "DELIVERED TO: BRAMBLE LANE STUDIOS LTD"),
    (70, 288, 2, "              UNIT 7, CANAL YARD, WEXCOMBE"),
    (70, 316, 2, "YOUR ORDER: BLS-764"),
    (70, 380, 2, "QTY   ARTICLE                        NO."),
    (70, 400, 2, "------------------------------------------------"),
    (70, 424, 2, "  1   BAND SAW KT-40                 4471-0093"),
    (70, 452, 2, "  2   SAW BLADES, 2950 MM            8810"),
    (70, 480, 2, "  1   MITRE GAUGE                    8826"),
    (70, 508, 2, "  4   PUSH STICKS                    8831"),
    (70, 532, 2, "------------------------------------------------"),
    (70, 560, 2, "VALUE OF GOODS: GBP 2,316.00 WITHOUT VAT"),
    (70, 624, 2, "ONE PUSH STICK WAS MISSING AND WILL FOLLOW BY"),
    (70, 652, 2, "POST. THE CRATE WAS DRY AND UNDAMAGED."),
    (70, 740, 2, "RECEIVED BY: T. RENWICK"),
    (70, 768, 2, "SIGNED ON:   14 SEPTEMBER 2026, 11:25"),
)


def make() -> bytes:
    """Return the scanned page as a PDF."""
    page = _Bitmap()
    for x, y, scale, words in _LINES:
        page.write(x, y, scale, words)
    page.sprinkle()
    return image_pdf("Scan 0093", _WIDTH, _HEIGHT, bytes(page.dots))


class _Bitmap:
    """A white page on which dots are blackened."""

    def __init__(self) -> None:
        self.dots = bytearray(b"\xff" * (_WIDTH // 8 * _HEIGHT))

    def write(self, x: int, y: int, scale: int, words: str) -> None:
        """Draw a line of text; each dot of a glyph is a square of `scale` dots."""
        for column, sign in enumerate(words):
            for down, row in enumerate(GLYPHS[sign]):
                for right, dot in enumerate(row):
                    if dot == "#":
                        self._square(x + (column * (GLYPH_WIDTH + 1) + right) * scale, y + down * scale, scale)

    def sprinkle(self) -> None:
        """Blacken some dots all over the page, the same ones every time."""
        state = 2231
        for _ in range(_DUST):
            state = (state * 1_103_515_245 + 12_345) % 2**31
            self._blacken(state // 7 % _WIDTH, state // 6007 % _HEIGHT)

    def _square(self, x: int, y: int, size: int) -> None:
        for down in range(size):
            for right in range(size):
                self._blacken(x + right + (y + down) // _CROOKED, y + down)

    def _blacken(self, x: int, y: int) -> None:
        self.dots[y * (_WIDTH // 8) + x // 8] &= 0xFF ^ 0x80 >> x % 8
