# SPDX-License-Identifier: Apache-2.0
"""By which id an occupant of a room is known, whatever they are called."""

from __future__ import annotations

import base64
import hashlib
import hmac

from gateway.ids import RemoteUserId


def occupant_id(secret: bytes, user: RemoteUserId) -> str:
    """XEP-0421 §4: the same for ever, and of no use to know the person by in another room."""
    digest = hmac.new(secret, user.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
