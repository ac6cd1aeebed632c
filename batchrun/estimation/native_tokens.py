"""The tokens of files that a model gets as they are, from their pages and pixels."""

import math

PAGE_IMAGE_TOKENS = 1_575
"""What the image of a page takes. Counted by the API for a page of 50 lines (a study of 2026): 3,182 tokens, of which
1,605 were the text, for an Opus with large images; 2,780 and 1,206 for a Sonnet with small ones."""
TEXT_SHARE = 3, 4
"""The cl100k tokens of a text layer, and the tokens that count for them here: between the factors of the tokenizers."""
PATCH_PIXELS, MOST_IMAGE_SIDE, MOST_IMAGE_TOKENS = 28, 2_576, 4_784
"""How images are cut in patches, a token each, after a larger image was made smaller (vision page of the API)."""


def pdf_tokens(layer: int, pages: int) -> int:
    """Give the tokens of a PDF, from the cl100k tokens of its text layer.

    The API sends a model the text of each page and an image of the page; it documents 1,500 to 3,000 tokens a page for
    the text of usual pages, "plus" the image (PDF page of the API). A scan has no text.
    """
    return -(-layer * TEXT_SHARE[1] // TEXT_SHARE[0]) + PAGE_IMAGE_TOKENS * pages


def layer_tokens(tokens: int, pages: int) -> int:
    """Give back the cl100k tokens of the text layers of PDFs, from the sum of their `pdf_tokens`."""
    return max(0, tokens - PAGE_IMAGE_TOKENS * pages) * TEXT_SHARE[0] // TEXT_SHARE[1]


def image_tokens(width: int, height: int) -> int:
    """Give the most tokens that an image takes: those of the models that see the largest images."""
    scale = min(1.0, MOST_IMAGE_SIDE / max(width, height))
    patches = math.ceil(width * scale / PATCH_PIXELS) * math.ceil(height * scale / PATCH_PIXELS)
    return min(patches, MOST_IMAGE_TOKENS)
