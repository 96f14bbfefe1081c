"""Who may look: those who have the token, from a page that this server has served."""

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from tam_ros.web.options import ServerOptions

HOSTS = ('127.0.0.1', 'localhost', '::1')  # by which a browser on this machine calls it


@dataclass(frozen=True)
class Visit:
    """What a request says of where it comes from."""

    host: str
    """As the browser calls this server, with the port; '' where it does not say."""
    token: str
    """As in the address; '' for none."""
    origin: str | None = None
    """The page that opens a socket; None where it does not say."""


def page_refusal(options: ServerOptions, visit: Visit) -> str:
    """Return why a visitor may not have the page; '' where it may.

    Without a token the host must be a name of this machine: else any page of the web could have
    its own name point here.
    """
    if not options.token and _host_name(visit.host) not in {*HOSTS, options.host}:
        return f'host {visit.host!r}: open the page as 127.0.0.1 or localhost, or set a token'
    if not hmac.compare_digest(visit.token.encode(), options.token.encode()):
        return 'wrong token: open the address with ?token= and what the parameter token is'
    return ''


def socket_refusal(options: ServerOptions, visit: Visit) -> str:
    """Return why a visitor may not look and click; '' where it may."""
    refusal = page_refusal(options, visit)
    if refusal:
        return refusal
    if visit.origin is None or _place(visit.origin) != visit.host.lower():
        return f'origin {visit.origin!r}: only the page of {visit.host!r} may look'
    return ''


def _host_name(host: str) -> str:
    try:
        return urlsplit(f'//{host}').hostname or ''
    except ValueError:
        return ''


def _place(origin: str) -> str:
    """Return the host and port of an origin."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ''
