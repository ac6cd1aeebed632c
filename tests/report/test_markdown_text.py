"""Names of documents in a comment or a step summary show as they are, and do nothing."""

import pytest

from batchrun.report.markdown_text import escaped


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("plain words, (2) of 3: 4.5%", "plain words, (2) of 3: 4.5%"),
        ("a|b_c*d`e`", r"a\|b\_c\*d\`e\`"),
        ("[x](http://y) www.z.org", r"\[x\](http\://y) www\.z.org"),
        ("<img onerror=x> & more", "&lt;img onerror=x&gt; &amp; more"),
        ("@octocat, see #12 or gh-3", "@&#8203;octocat, see #&#8203;12 or gh&#8203;-3"),
        ("# no heading", r"\# no heading"),
        ("- no point", r"\- no point"),
        ("1987. no list", r"1987\. no list"),
        ("two\nlines\u202e", r"two\\nlines\\u202e"),
        ("a\\", "a\\\\"),
    ],
)
def test_markdown_means_nothing_in_what_others_wrote(text: str, markdown: str) -> None:
    assert escaped(text) == markdown
