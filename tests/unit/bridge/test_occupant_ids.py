# SPDX-License-Identifier: Apache-2.0
"""Ids of occupants (REQ-709)."""

import base64
import hashlib
import hmac

from gateway.bridge.rooms.occupant_ids import occupant_id
from gateway.ids import RemoteUserId

BOB = RemoteUserId("@bob:example.org")


def test_req_709_an_id_tells_nothing_without_the_secret_of_the_room() -> None:
    made = occupant_id(b"s" * 32, BOB)
    digest = hmac.new(b"s" * 32, BOB.encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(made + "=") == digest
    # The same for ever, another one in another room, and another person's.
    assert made == occupant_id(b"s" * 32, BOB)
    assert made not in {occupant_id(b"t" * 32, BOB), occupant_id(b"s" * 32, RemoteUserId("@b"))}
