"""The largest text worth reading."""

MAX_BYTES = 32_000_000
"""The API takes no larger request, so a larger text is not even read."""


def too_large(size: int) -> str:
    """Give the reason why a text of so many bytes is not read."""
    return f"{size / 1e6:,.1f} MB: more than the {MAX_BYTES / 1e6:.0f} MB that a request may have"
