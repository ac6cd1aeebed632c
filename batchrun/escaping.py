"""Text that somebody else wrote: documents, replies, file names, the API's words. Inert wherever it is shown."""

import re

# Control characters (line breaks and tabs too), the separators Unicode treats as line breaks, invisible characters and
# the marks that turn the direction of writing, and lone halves of characters, which no file can hold.
ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def escape_control(text: object) -> str:
    """The text on one line, unable to command a terminal: what is active in it is written as an escape."""
    shown = str(text)
    if shown.isascii() and shown.isprintable():  # nearly always, and found in a third of the time
        return shown
    return ACTIVE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), shown)
