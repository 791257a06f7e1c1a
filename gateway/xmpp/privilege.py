# SPDX-License-Identifier: Apache-2.0
"""XEP-0356: what our own server lets us do in its users' names.

Advertisements count only from local domains (REQ-703), each replaces the last, and all are learnt
anew at every connect (REQ-1001). Debian's Prosody nests elements that should stand side by side,
so permissions are looked for at any depth.
"""

from __future__ import annotations

from collections.abc import Collection
from xml.etree.ElementTree import Element

import structlog

from gateway.ids import UserJid

log = structlog.get_logger("privilege")

_PERM = "{urn:xmpp:privilege:2}perm"
_OLD = "{urn:xmpp:privilege:1}privilege"
_TOO_OLD = "ejabberd knows the present ones since 24.10; until then own messages begin with You:"
_NAMESPACE = "{urn:xmpp:privilege:2}namespace"
PUBSUB = "http://jabber.org/protocol/pubsub"
_FORWARDED = "{urn:xmpp:forward:0}forwarded"


_SAID = 10
"""Lines in the log for one connection: strangers may send as many of these as they like."""


class Privileges:
    """What each local domain has granted."""

    def __init__(self, local_domains: Collection[str], *, wanted: bool) -> None:
        self._local_domains = frozenset(local_domains)
        self._wanted = wanted
        self._may_send: set[str] = set()
        self._may_use_pubsub: set[str] = set()
        self._said = 0

    def advertised(self, sender: str, privilege: Element) -> None:
        """A server tells what it grants; all that it granted before is void."""
        if sender not in self._local_domains:  # a bare domain, to the letter
            if self._said < _SAID:
                self._said += 1
                log.warning("privileges_from_stranger", domain=sender.rpartition("@")[2])
            return
        if privilege.find(_FORWARDED) is not None:
            return  # an answer to a request in somebody's name, and we make none (REQ-704)
        domain = sender
        if privilege.tag == _OLD:
            self._may_send.discard(domain)
            self._may_use_pubsub.discard(domain)
            if self._wanted:
                log.warning("privileges_too_old", domain=domain, advice=_TOO_OLD)
            return
        granted = {perm.get("access", ""): perm.get("type", "") for perm in privilege.iter(_PERM)}
        if granted.get("message") == "outgoing":
            self._may_send.add(domain)
        else:
            self._may_send.discard(domain)
        kinds = {
            each.get("type") for each in privilege.iter(_NAMESPACE) if each.get("ns") == PUBSUB
        }
        if "both" in kinds or kinds >= {"get", "set"}:
            self._may_use_pubsub.add(domain)
        else:
            self._may_use_pubsub.discard(domain)
        bookmarks = domain in self._may_use_pubsub
        log.info("privileges", domain=domain, granted=granted, bookmarks=bookmarks)

    def withdrawn(self, domain: str) -> bool:
        """The server refused what it had advertised. True if that is news."""
        news = domain in self._may_send
        self._may_send.discard(domain)
        return news

    def reset(self) -> None:
        """A new stream: everything is learnt anew."""
        self._may_send.clear()
        self._may_use_pubsub.clear()
        self._said = 0

    def pubsub_withdrawn(self, domain: str) -> None:
        """The server refuses what it had advertised, or does not answer."""
        if domain in self._may_use_pubsub:
            self._may_use_pubsub.discard(domain)
            log.warning("pubsub_privilege_refused", domain=domain)

    def may_use_pubsub(self, user: UserJid) -> bool:
        """Whether a user's bookmarks may be read and set in their name."""
        return self._wanted and user.rpartition("@")[2] in self._may_use_pubsub

    def may_send_as(self, user: UserJid) -> str:
        """The user's domain, if messages may be sent in their name; else empty."""
        domain = user.rpartition("@")[2]
        return domain if self._wanted and domain in self._may_send else ""
