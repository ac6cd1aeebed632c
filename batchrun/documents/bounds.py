"""How large files and texts may be."""

from batchrun.documents import Unfit

MAX_BYTES = 32_000_000
"""The API takes no larger request, so a larger text is not sent."""
MAX_NATIVE_BYTES = MAX_BYTES // 4 * 3
"""A larger file is not sent as it is: base64 writes four bytes for three."""
MAX_IMAGE_BYTES = 10_485_760 // 4 * 3
"""The API takes no larger image: its bound of 10 MB is for the base64 of the image (vision page; 5 MB until 2026)."""
MAX_IMAGE_SIDE = 8_000
"""The most pixels that an image may have on a side (vision page, general limits)."""
MAX_FILE_BYTES = 100_000_000
"""A larger file is not even read, whatever its format."""


def too_large(size: int) -> str:
    """Return the reason why a text of so many bytes is not sent."""
    return f"{size / 1e6:,.1f} MB: more than the {MAX_BYTES / 1e6:.0f} MB that a request may have"


def file_too_large(size: int) -> str:
    """Return the reason why a file of so many bytes is not read."""
    return f"a file of {size / 1e6:,.1f} MB: files above {MAX_FILE_BYTES / 1e6:.0f} MB are not read; split it first"


def require_size(size: int) -> None:
    """Raise Unfit for a file of so many bytes if it is too large to be read."""
    if size > MAX_FILE_BYTES:
        raise Unfit(file_too_large(size))
