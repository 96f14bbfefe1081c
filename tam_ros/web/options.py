"""Where the page is served, and to whom."""

import ipaddress
import re
import secrets
from dataclasses import dataclass

from tam_ros.options import check_options, option

TOKEN = re.compile(r'[A-Za-z0-9_-]{16,256}')


@dataclass(frozen=True)
class ServerOptions:
    """Where the page is served, and to whom.

    Raises ValueError for a value that is not allowed.
    """

    host: str = option(
        '127.0.0.1',
        'Address to listen on: a loopback address, or with a token any of this machine, such as '
        '0.0.0.0.',
        live=False,
    )
    port: int = option(
        8080, 'Port to listen on; 0 for any that is free.', between=(0, 65535), live=False
    )
    token: str = option(
        '',
        'What ?token= in the address must be: 16 to 256 letters, digits, - and _. Empty: nothing '
        'is asked for, on loopback only. Other nodes can read it.',
        live=False,
    )
    max_viewers: int = option(
        8, 'Pages that may be open at a time.', between=(1, 1000), live=False
    )
    rate_hz: float = option(
        10.0,
        'Pictures per second that a viewer gets at most.',
        between=(0.1, 100.0),
        live=False,
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.token and not TOKEN.fullmatch(self.token):
            raise ValueError(
                f'token of {len(self.token)} characters: use 16 to 256 letters, digits, - and _'
            )
        if not self.token and not self.is_loopback:
            raise ValueError(
                f'host {self.host!r} can be reached from other machines: use 127.0.0.1, or set '
                f'token, for instance to {secrets.token_urlsafe(16)}'
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the host; names but localhost count as elsewhere."""
        if self.host == 'localhost':
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
