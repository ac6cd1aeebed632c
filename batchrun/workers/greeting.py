"""The hand-shake with a node of a cluster, before its first call. Only the standard library is imported here.

The module is sent to nodes by value, so that a node without batchrun, or with another one, can say so in words.
"""

import pickle
import platform
import sys

Greeting = tuple[tuple[tuple[str, str], ...], tuple[str, int, int] | None, str]
"""What a node must have in common with this machine, in plain values.

Versions by their names, `on_worker.versions` here; a file that the node must see, as path, size and mtime in
nanoseconds, or None; and the fingerprint of the job.
"""
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def receive(greeting: Greeting, packed: bytes) -> bytes:
    """Make a packed call on this node, if the node has this batchrun and Python; see `on_worker.carry_out`.

    The answer is read by `pool.result_of`.
    """
    asked, there = dict(greeting[0]), "none"
    try:
        import batchrun

        there = batchrun.__version__
        from batchrun.workers.on_worker import carry_out
    except ImportError as error:
        there = f"{there} ({error})"
    for name, version in (("Python", ".".join(map(str, sys.version_info[:2]))), ("batchrun", there)):
        if asked[name] != version:
            return pickle.dumps(("refused", refusal(name, asked[name], version)))
    return carry_out(greeting, packed)


def refusal(name: str, here: str, there: str) -> tuple[str, str]:
    """Say that this node differs from the machine that asks, and what to do about that."""
    message = f"the node {platform.node()} has another {name}: {there}, and this machine has {here}."
    return message, f"give the node the same {name}; another one may make other requests of the same documents"
