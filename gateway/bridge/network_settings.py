# SPDX-License-Identifier: Apache-2.0
"""What the configuration says of one network, as far as the bridge needs it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.bridge.contacts.reserved import Reserved
from gateway.bridge.files.told import FileLinks
from gateway.bridge.inbound.backlog import Marks
from gateway.bridge.outbound.actors import Limits
from gateway.bridge.rooms.occupants import Cutoffs
from gateway.ids import NetworkName
from gateway.locale import ENGLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Each with what holds if nothing is said."""

    name: NetworkName
    domain: str
    """Of its component."""
    auto_accept: bool = False
    limits: Limits
    marks: Marks = field(default_factory=Marks)
    login_concurrency: int = 8
    cutoffs: Cutoffs = field(default_factory=Cutoffs)
    keeps_s: float = 400 * 86_400
    """How long what was said is kept."""
    language: str = ENGLISH
    """For users who have spoken none."""
    reserved: Reserved = field(default_factory=Reserved)
    file_links: FileLinks | None = None
    """Addresses of files, if the gateway has one itself."""
    upload_service: str = ""
    """Domain of the server's."""
    uploaders: tuple[str, ...] = ()
    """Who puts files there, one tried after the other: the ``user``, and the ``component``.
    Nobody, if they are to be here."""
