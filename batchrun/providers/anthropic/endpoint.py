"""Where requests go: the base URL and the proxy, which variable names each, and whether each can be used at all."""

import re
import ssl
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

import anthropic
import httpx2

from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.escaping import escape_control

VARIABLE = "ANTHROPIC_BASE_URL"
DEFAULT = "https://api.anthropic.com"
SCHEMES = {"http", "https"}
"""The schemes of addresses that can be asked, of proxies too: the client takes a SOCKS proxy for an HTTP proxy."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The base URL and the proxy of one client. Neither shows a user or a password."""

    base_url: str
    proxy: str | None = None
    proxy_variable: str | None = None
    named_by: str = ""
    """What names the base URL, if it is neither the environment nor the SDK's profile."""

    @property
    def is_default(self) -> bool:
        """Whether requests go straight to Anthropic's own API."""
        return self.base_url == DEFAULT and self.proxy is None

    @property
    def words(self) -> str:
        """The base URL and the proxy, with the names of what set them."""
        named = self.base_url if self.base_url == DEFAULT else f"{self.base_url} ({self.named_by or origin()})"
        return f"{named} through {self.proxy_words}" if self.proxy else named

    @property
    def proxy_words(self) -> str:
        """The proxy, with the variable that names the proxy."""
        if self.proxy is None:
            return "a proxy that no variable names"
        return f"the proxy {self.proxy} ({self.proxy_variable or 'of the system'})"


def origin() -> str:
    """Return what names the base URL, if that is not Anthropic's own."""
    return VARIABLE if VARIABLE in environ else "the base URL of the SDK's profile"


def environment_base_url() -> str | None:
    """Return ANTHROPIC_BASE_URL. An empty one is unset for the SDK too, which would take it for an address."""
    if not environ.get(VARIABLE, "").strip():
        environ.pop(VARIABLE, None)
    return environ.get(VARIABLE, "").strip() or None


def refuse_unusable(address: str, variable: str | None) -> None:
    """Raise UsageProblem for an address whose look shows that nothing can be sent there."""
    if fault := fault_of(address):
        raise UsageProblem(
            f'{variable} is "{masked(address)}", which {fault}.',
            hint=f"set {variable} to an address such as http://localhost:8080, or unset it",
        )


def fault_of(address: str) -> str | None:
    """Return what is wrong with the look of an address, or None. The address is not quoted: it may have a password."""
    if "://" not in address:
        return "has no scheme"
    try:
        parts = urlsplit(address)
    except ValueError:
        return "is no address"
    if not _has_port(parts):
        return "has a port that is no number from 1 to 65535"
    if parts.scheme not in SCHEMES:
        return f'has the scheme "{parts.scheme}"; only http and https can be used'
    if not _has_host(parts):
        return "names no host"
    return "has a query or a fragment" if parts.query or parts.fragment else _refused_by_client(address)


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _has_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return bool(host.encode("idna")) and re.search(r"\s", host) is None
    except UnicodeError:
        return False


def _refused_by_client(address: str) -> str | None:
    try:
        httpx2.URL(address)
    except httpx2.InvalidURL:
        return "is no address"
    return None


def masked(address: str) -> str:
    """Return an address for people: without its user, password and query, and unable to command a terminal."""
    return escape_control(re.sub(r"^(\w+://)?.*@", r"\1***@", address.partition("?")[0]))


def trusted_certificates() -> str:
    """Name the certificates that connections trust. Raises EnvironmentProblem for a place without certificates."""
    for name, is_usable in (("SSL_CERT_FILE", _has_certificates), ("SSL_CERT_DIR", Path.is_dir)):
        if value := environ.get(name):
            if not is_usable(Path(value)):
                message = f"{name} is {escape_control(value)}, which holds no certificates."
                raise EnvironmentProblem(message, hint=f"unset {name}")
            return f"{escape_control(value)} ({name})"
    return "those of the system"


def _has_certificates(path: Path) -> bool:
    try:
        return b"-----BEGIN" in path.read_bytes()
    except OSError:
        return False


def endpoint_of(client: httpx2.AsyncClient, base_url: httpx2.URL, named_by: str = "") -> Endpoint:
    """Return where this client sends the requests of this base URL. By NO_PROXY too, that is the client's decision."""
    proxy = transport_of(client, base_url).proxy
    variable = _proxy_variable(base_url.scheme) if proxy else None
    return Endpoint(masked(str(base_url)).rstrip("/"), proxy and masked(str(proxy.url)), variable, named_by)


def usable_endpoint(base_url: httpx2.URL, *, trust_env: bool, named_by: str = "") -> Endpoint:
    """Return where requests would go. Raises UsageProblem for a base URL or a proxy that cannot be used."""
    refuse_unusable(str(base_url), named_by or origin())
    try:
        # Reading the certificates of the machine takes long, and this client sends nothing.
        client = anthropic.DefaultAioHttpClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=trust_env)
    except (ValueError, httpx2.InvalidURL):
        for scheme in ("https", "http", "all"):
            address = getproxies().get(scheme) or DEFAULT
            refuse_unusable(address if "://" in address else f"http://{address}", _proxy_variable(scheme))
        raise
    endpoint = endpoint_of(client, base_url, named_by)
    if endpoint.proxy:
        refuse_unusable(endpoint.proxy, endpoint.proxy_variable or "the proxy of the system")
    return endpoint


def transport_of(client: httpx2.AsyncClient, url: httpx2.URL) -> Any:
    """Return the transport that a client uses for a URL; only the transport knows its proxy."""
    return client._transport_for_url(url)  # noqa: SLF001 - httpx2 has no other way to ask


def _proxy_variable(scheme: str) -> str | None:
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return next((name for name in names if environ.get(name)), None)
