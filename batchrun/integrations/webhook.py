"""A webhook: JSON is posted to an address of the environment, which is a secret but for its host."""

import time
import urllib.request
from concurrent.futures import Future
from http.client import HTTPException
from ssl import SSLCertVerificationError
from threading import Thread
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from batchrun.errors import EnvironmentProblem, UsageProblem

TIMEOUT_S = 10.0
"""How long one try may take, and how long each step of the try."""
PAUSES_S = (1.0, 4.0)
"""How long to wait before each new try."""
HERE = ("localhost", "127.0.0.1", "::1")


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which would take the JSON to an address that nobody has named."""

    def redirect_request(self, *_: object) -> None:
        """Make the redirect an error."""


def usable_host(address: str) -> str:
    """Return the host of an address. Raises UsageProblem if nothing should be posted there."""
    try:
        parts = urlsplit(address)
        host, is_safe = parts.hostname, parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in HERE)
    except ValueError:
        host, is_safe = None, False
    if not (host and is_safe and address.isascii() and address.isprintable() and " " not in address):
        raise UsageProblem("the address of the webhook must be one https://… address")
    return host


def post(address: str, body: bytes) -> None:
    """Post JSON, and again a few times if the host has a problem that may pass. Raises EnvironmentProblem."""
    host = usable_host(address)
    for pause_s in (*PAUSES_S, None):
        why, may_pass = tried(address, body)
        if not why:
            return
        if pause_s is None or not may_pass:
            raise EnvironmentProblem(f"{host} {why}")
        time.sleep(pause_s)


def tried(address: str, body: bytes) -> tuple[str, bool]:
    """Post once. Returns why nobody took the JSON, or nothing, and whether another try may be better.

    A host that answers byte by byte would take forever: the thread that waits for the host is given up.
    """
    answer = Future[tuple[str, bool]]()
    Thread(target=lambda: answer.set_result(answered(address, body)), daemon=True).start()
    try:
        return answer.result(TIMEOUT_S)
    except TimeoutError:
        return "did not answer", True


def answered(address: str, body: bytes) -> tuple[str, bool]:
    """Post once, however long the host takes; `tried` says what is returned."""
    headers = {"content-type": "application/json", "user-agent": "batchrun"}
    request = urllib.request.Request(address, body, headers, method="POST")  # noqa: S310 - usable_host knows it
    try:
        with urllib.request.build_opener(NoRedirects).open(request, timeout=TIMEOUT_S):
            return "", False
    except HTTPError as error:
        error.close()
        return f"answered with status {error.code}", error.code == 429 or error.code >= 500
    except URLError as error:
        if isinstance(error.reason, SSLCertVerificationError):
            return "has a certificate that this machine does not trust", False
        return "cannot be reached", True
    except (OSError, HTTPException):
        return "did not answer", True
