"""Positions agree with `tomllib`: every value is found, and what stands at its place reads as that value."""

import tomllib

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from batchrun.job.toml_positions import Positions, offset_inside

DOCUMENTS = {
    "plain": 'a = 1\n[t]\nb = "x" # comment\nc = true\n',
    "quoted keys": '"a b" = 1\n\'c.d\' = 2\n"e\\"=]" = 3\n["t u"."v=w"]\n"" = 4\n',
    "dotted keys": 'a.b.c = 1\na . "d" = 2\n[t]\nx.y = 3\n',
    "dotted header": "[a.b . c]\nd = 1\n[a]\ne = 2\n",
    "inline table": 'p = { x = 1, "y z" = { w.v = [1, 2] }, s = "a, } b" }\n',
    "arrays": 'a = [1, [2, 3], "x, ]", { k = 4 }]\nb = [\n  "one", # ] first\n  "two",\n]\nc = []\n',
    "array of tables": "[[t]]\na = 1\n[t.sub]\nb = 2\n[[t]]\na = 3\n[[t.deep]]\nc = 4\n[[t.deep]]\nc = 5\n",
    "multi-line strings": 'a = """\n[x]\nb = 1 # no\n\\"""quoted\\""" """\nc = \'\'\'\nd = 2\n[y]\'\'\'\ne = 3\n',
    "quotes at the end": 'a = """x"""""\nb = \'\'\'y\'\'\'\'\nc = ""\nd = \'\'\ne = """"""\n',
    "equals in strings": 'a = "b = 2"\nb = \'c = "3"\' # d = 4\n[t] # e = 5\nf = "#"\n',
    "dates": "a = 1979-05-27 07:32:00Z\nb = [1979-05-27, 07:32:00]\nc = 1_000\nd = -inf\n",
    "comments and blanks": "# [x]\n\n  \t\n  a = 1 # x\n#\n[t] # [u]\n# b = 2\n",
    "no newline at end": "a = 1\n[t]\nb = [1, 2]",
    "wide": 'a = "日本語"\nb = "é" # 😀\nc = 1\n',
}


def leaves(values, path=()):
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    elif isinstance(values, list) and values:
        for number, value in enumerate(values):
            yield from leaves(value, (*path, number))
    else:
        yield path, values


def assert_found(text):
    positions = Positions(text)
    for path, value in leaves(tomllib.loads(text)):
        span = positions.value(path)
        if value == {} and not text.startswith("{", span.start):
            continue  # an empty table has at most a header, no value
        assert tomllib.loads(f"found = {text[span.start : span.end]}")["found"] == value, path


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_value_is_found(text):
    assert_found(text)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (("job", "name"), "name"),
        (("job",), "[job]"),
        (("p", "x"), "x"),
        (("p",), "p"),
        (("t", "u", "v"), "v"),
        (("t", "u"), "u"),
        (("job", "missing"), "[job]"),
        (("p", "missing", "deeper"), "p"),
        (("nothing",), ""),
    ],
)
def test_keys_and_the_closest_table(path, key):
    text = 'p = { x = 1 }\nt.u.v = 2\n[job]\nname = "x"\n'
    span = Positions(text).key(path)
    assert text[span.start : span.end] == key


scalars = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.booleans().map(lambda b: str(b).lower()),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).map(
        lambda s: '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'
    ),
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="'"), max_size=12).map(
        lambda s: f"'{s}'"
    ),
    st.text('ab"#=[]{},\n ', max_size=20).filter(lambda s: '""' not in s).map(lambda s: f'"""\n{s} """'),
    st.text('ab"#=[]{},\n \\', max_size=20).map(lambda s: f"'''\n{s}'''"),
)
spaces = st.sampled_from(["", " ", "\t"])
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.tuples(st.lists(inner, max_size=4), st.sampled_from([",", ", ", ",\n", ', # ] "c\n'])).map(
            lambda t: "[" + t[1].join(t[0]) + "]"
        ),
        st.lists(inner.filter(lambda v: not v.startswith("{")), max_size=3).map(
            lambda vs: "{ " + ", ".join(f"k{i} = {v}" for i, v in enumerate(vs)) + " }"
        ),
    ),
    max_leaves=8,
)


@st.composite
def toml_texts(draw):
    lines = []
    for table in range(draw(st.integers(0, 3))):
        header = draw(
            st.sampled_from(["", f"[t{table}]", f"[x{table}.'y z']", "[[array]]", f'[ "q#{table}" ] # no = 1'])
        )
        lines.append(header)
        for key in range(draw(st.integers(0, 3))):
            name = draw(st.sampled_from(["bare", '"quo = ted"', "'lit#'", "dot.ted", 'a."b.c".d']))
            gap = draw(spaces)
            lines.append(f"k{table}_{key}.{name}{gap}={gap}{draw(values)}")
    return "\n".join(lines)


@pytest.mark.slow
@given(toml_texts())
def test_agrees_with_tomllib(text):
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        reject()  # such as a newline within an inline table
    assert_found(text)


@pytest.mark.slow
@given(st.text(st.sampled_from("ab=[]{},.\"'#\n\\ \t日"), max_size=60), st.lists(st.sampled_from(["a", "b", 0])))
def test_ends_on_any_text(text, path):
    positions = Positions(text)
    for span in (positions.key(tuple(path)), positions.value(tuple(path))):
        assert 0 <= span.start <= span.end <= len(text)


@pytest.mark.parametrize(
    "literal",
    ['"abc"', "'a\\bc'", '"a\\n\\u00e9b\\U0001F600c\\"d"', '"""\nab\\\n   cd"e\n"""', "'''\nab\nc'''", '"""x"""', '""'],
)
def test_offset_inside_a_literal(literal):
    text = tomllib.loads(f"a = {literal}")["a"]
    for index, character in enumerate(text):
        offset = offset_inside(literal, index)
        assert literal[offset] == character or literal[offset] == "\\"
    assert offset_inside(literal, len(text)) <= len(literal)
