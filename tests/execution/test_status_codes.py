"""No file of the package knows what a status means but the failure table and the rims.

The rims are the providers, the simulator, the lease service with its client, and the storage of clouds.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import batchrun

PACKAGE = Path(batchrun.__file__).parent
KNOWING = ("execution/retry_policy.py", "providers/", "simulator/", "leases/", "documents/buckets.py")
EXCEPTIONS = {
    ("execution/stream/rate_limiter.py", "'http_429'"): "the name of a wait in the ledger: it decides nothing",
}
STATUS_NAMES = {"status", "status_code"}
OF_A_CAUSE = re.compile(r"\bhttp_[1-5]\d\d\b")


def statuses_in(source: str) -> list[str]:
    """The expressions of a module that hold a failure against a status."""
    return [ast.unparse(node) for node in _suspects(ast.parse(source))]


def _suspects(tree: ast.AST) -> Iterator[ast.AST]:
    words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        match node:
            case ast.Compare() if _names(node) & STATUS_NAMES and _codes(node):
                yield node
            case ast.Match() if any(_codes(case.pattern) for case in node.cases):
                yield node.subject
            case ast.Set(elts) | ast.List(elts) | ast.Tuple(elts) if elts and all(map(_is_error, elts)):
                yield node
            case ast.Dict(keys) if keys and all(key is not None and _is_error(key) for key in keys):
                yield node
            case ast.keyword(arg="status", value=value) if _codes(value):
                yield node
            case ast.Constant(str(text)) if id(node) not in words and OF_A_CAUSE.search(text):
                yield node


def _names(node: ast.AST) -> set[str]:
    attributes = {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
    return attributes | {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _codes(node: ast.AST) -> list[int]:
    constants = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return [value for value in constants if type(value) is int and 100 <= value < 600]


def _is_error(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and 400 <= node.value < 600


FORBIDDEN = [
    "failure.status == 404",
    "failure.status in {401, 403}",
    "status is None or status >= 500",
    "400 <= error.failure.status < 500",
    "match failure.status:\n    case 401 | 403:\n        pass",
    "match status:\n    case code if code:\n        pass\n    case 429:\n        pass",
    "REJECTIONS = frozenset({400, 413, 422})",
    "KINDS = {404: 'unknown'}",
    "Failure(cause=cause, status=404)",
    "run(\"select 1 where cause not in ('http_401', 'batch gone')\")",
]
ALLOWED = [
    "batch.state == 'ended'",
    "len(rows) == 200",
    "limit = 404",
    "remote.status == 'in_progress'",
    'def name(self):\n    """A stable short name: `http_529`."""',
]


@pytest.mark.parametrize("source", FORBIDDEN)
def test_a_status_is_found_however_it_is_written(source: str) -> None:
    assert statuses_in(source)


@pytest.mark.parametrize("source", ALLOWED)
def test_what_is_no_status_is_not_taken_for_one(source: str) -> None:
    assert statuses_in(source) == []


@pytest.mark.slow
def test_only_the_failure_table_and_the_rims_know_what_a_status_means() -> None:
    found = {
        (name, expression)
        for path in PACKAGE.rglob("*.py")
        if not (name := path.relative_to(PACKAGE).as_posix()).startswith(KNOWING)
        for expression in statuses_in(path.read_text("utf-8"))
    }

    assert found == set(EXCEPTIONS)
    assert statuses_in((PACKAGE / KNOWING[0]).read_text("utf-8")), "the table is where it is looked for"
