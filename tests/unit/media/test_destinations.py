# SPDX-License-Identifier: Apache-2.0
"""Which URLs are fetched at all (REQ-720)."""

from __future__ import annotations

import pytest

from gateway.config.tree import Fetch
from gateway.config.values import Reachable
from gateway.errors import FetchRefused
from gateway.media.destinations import Destinations

_ALLOWED = Destinations(
    Fetch(
        allow=tuple(
            map(
                Reachable.parse,
                (
                    "Upload.lan",
                    "192.168.0.7",
                    "fd00::7",
                    "10.1.0.0/16",
                    "127.0.0.1",
                    "localhost",
                    "foo.localhost",
                    "::ffff:127.0.0.1",
                    "0.0.0.0",
                ),
            )
        )
    )
)


@pytest.mark.parametrize(
    "url",
    [
        "https://upload.lan:8444/f",
        "https://UPLOAD.LAN:1/f",
        "https://192.168.0.7:8444/f",
        "https://[fd00::7]:8444/f",
        "https://10.1.2.3/f",
        "https://10.1.2.3:5443/f",
        "https://localhost:5443/f",
        "https://other.example:5443/f",
    ],
)
def test_req_720_a_host_that_the_admin_has_named_is_reached_on_any_port(url: str) -> None:
    assert _ALLOWED.checked(url).port


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example:8444/f",
        "https://upload.lan.other.example:8444/f",
        "https://10.1.2.3:8444/f",
        "https://192.168.0.8:5443/f",
        "https://127.0.0.1:8444/f",
        "https://localhost:8444/f",
        "https://foo.LOCALHOST:8444/f",
        "https://[::ffff:127.0.0.1]:8444/f",
        "https://[::ffff:7f00:1]:8444/f",
        "https://0.0.0.0:8444/f",
        "http://upload.lan:8444/f",
        "https://me@upload.lan:8444/f",
    ],
)
def test_req_720_others_are_reached_on_the_usual_ports_alone(url: str) -> None:
    """In a network, and on this machine, there is more than what was meant."""
    with pytest.raises(FetchRefused):
        _ALLOWED.checked(url)
