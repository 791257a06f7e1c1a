# SPDX-License-Identifier: Apache-2.0
"""XEP-0356: what our own server lets us do in its users' names.

Advertisements count only from local domains (REQ-703), each replaces the last, and all are learnt
anew at every connect (REQ-1001). Debian's Prosody nests elements that should stand side by side,
so permissions are looked for at any depth. Each user may do without each of them (REQ-1003).
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Collection
from xml.etree.ElementTree import Element

import structlog

from gateway.ids import UserJid
from gateway.text.wording import tr

log = structlog.get_logger("privilege")

_PERM = "{urn:xmpp:privilege:2}perm"
_OLD = "{urn:xmpp:privilege:1}privilege"
_TOO_OLD = (
    "ejabberd knows the present ones since 24.10; until then own messages begin with You:, "
    "and contacts ask to be added"
)
_NAMESPACE = "{urn:xmpp:privilege:2}namespace"
PUBSUB = "http://jabber.org/protocol/pubsub"
UPLOAD = "urn:xmpp:http:upload:0"
_FORWARDED = "{urn:xmpp:forward:0}forwarded"
_BOTH = frozenset({"get", "set"})
_SILENT = 3
"""So often nothing comes back: ejabberd says nothing to what it does not allow (REQ-1011)."""
_SAID = 10
"""Lines in the log for one connection: strangers may send as many of these as they like."""


class Permission(enum.Enum):
    """What a server may let us do."""

    MESSAGES = "messages"
    """Send messages in the names of users."""
    ROSTER = "roster"
    """Read and write their contact lists."""
    PUBSUB = "pubsub"
    """Read and set their nodes: bookmarks, and how far they have read."""
    UPLOAD = "upload"
    """Ask for places for files at an upload service (XEP-0363)."""
    PRESENCE = "presence"
    """Be told which of them are there, without a subscription (§7)."""


CONSENT = {
    Permission.MESSAGES: "send_in_my_name",
    Permission.ROSTER: "add_contacts",
    Permission.PUBSUB: "use_bookmarks",
    Permission.UPLOAD: "upload_in_my_name",
}
"""The setting by which a user does without it. What becomes of their presence, others say."""
MEANING = {
    Permission.MESSAGES: tr("show what you write in other apps as your own messages"),
    Permission.ROSTER: tr("put people you talk with into your contact list"),
    Permission.PUBSUB: tr("put your groups among your bookmarks, and what you have read of them"),
    Permission.UPLOAD: tr("put files that people send you among those that you have uploaded"),
    Permission.PRESENCE: tr("see when you are online"),
}
"""What is done with it, for people."""


class Privileges:
    """What each local domain has granted."""

    def __init__(
        self,
        local_domains: Collection[str],
        *,
        wanted: bool,
        consents: Callable[[UserJid, Permission], bool] = lambda *_: True,
        changed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``consents``: whether a user wants it. ``changed`` is told the domain that has said what
        it grants."""
        self._local_domains = frozenset(local_domains)
        self._wanted = wanted
        self._consents = consents
        self._changed = changed
        self._granted: dict[Permission, set[str]] = {each: set() for each in Permission}
        self._silent: Counter[tuple[str, Permission]] = Counter()
        self._silences: Counter[tuple[UserJid, Permission]] = Counter()
        self._said = 0
        self._told: set[str] = set()
        """Domains that have said on this stream what they grant."""
        self._are_all_told = False
        self.stream = 0
        """Number of the stream: what was asked on an earlier one may have been lost with it."""

    def advertised(self, sender: str, privilege: Element) -> None:
        """A server tells what it grants; all that it granted before is void."""
        if sender not in self._local_domains:  # a bare domain, to the letter
            if self._said < _SAID:
                self._said += 1
                log.warning("privileges_from_stranger", domain=sender.rpartition("@")[2])
            return
        if privilege.find(_FORWARDED) is not None:
            return  # an answer to a request in somebody's name, and we make none (REQ-704)
        if privilege.tag == _OLD:
            self._replace(sender, frozenset())
            if self._wanted:
                log.warning("privileges_too_old", domain=sender, advice=_TOO_OLD)
            return
        granted = _granted(privilege)
        self._told.add(sender)
        self._replace(sender, granted)
        log.info("privileges", domain=sender, granted=sorted(each.value for each in granted))
        self._changed(sender)

    def _replace(self, domain: str, granted: Collection[Permission]) -> None:
        for permission, domains in self._granted.items():
            self._silent.pop((domain, permission), None)
            if permission in granted:
                domains.add(domain)
            else:
                domains.discard(domain)

    def all_told(self) -> None:
        """Who has said nothing until now grants nothing."""
        self._are_all_told = True

    def knows(self, user: UserJid) -> bool:
        """Whether it is known on this stream what the user's server grants."""
        domain = user.rpartition("@")[2]
        may_be_told = self._wanted and domain in self._local_domains
        return self._are_all_told or domain in self._told or not may_be_told

    def withdrawn(self, domain: str, permission: Permission, condition: str = "") -> None:
        """The server refuses what it had advertised, or does not answer."""
        if domain in self._granted[permission]:
            self._granted[permission].discard(domain)
            log.warning(
                "privilege_refused",
                domain=domain,
                permission=permission.value,
                condition=condition or "no answer",
            )

    def silences(self, user: UserJid, permission: Permission) -> int:
        """How often nothing came back on this stream; noted with each request."""
        return self._silences[user, permission]

    def is_silent(self, user: UserJid, permission: Permission, before: int) -> None:
        """Nothing came back. After some times of it, in a row, it counts as a refusal.

        ``before``: `silences` when it was asked. What was asked at the same time for one user
        counts once: theirs may be a list that is slow to write.
        """
        if self._silences[user, permission] != before:
            return
        self._silences[user, permission] += 1
        domain = user.rpartition("@")[2]
        self._silent[domain, permission] += 1
        if self._silent[domain, permission] >= _SILENT:
            del self._silent[domain, permission]
            self.withdrawn(domain, permission)

    def speaks(self, domain: str, permission: Permission) -> None:
        """Something came back."""
        self._silent.pop((domain, permission), None)

    def reset(self) -> None:
        """A new stream: everything is learnt anew."""
        for domains in self._granted.values():
            domains.clear()
        self._silent.clear()
        self._silences.clear()
        self._told.clear()
        self._are_all_told = False
        self._said = 0
        self.stream += 1

    def granted(self, user: UserJid) -> list[Permission]:
        """What their server lets us do in the name of a user, whether or not they want it."""
        return [each for each in Permission if self._is_granted(user, each)]

    def may(self, user: UserJid, permission: Permission) -> bool:
        """Whether this may be done in the name of a user."""
        return self._is_granted(user, permission) and self._consents(user, permission)

    def _is_granted(self, user: UserJid, permission: Permission) -> bool:
        return self._wanted and user.rpartition("@")[2] in self._granted[permission]

    def tells_presence(self, domain: str) -> bool:
        """Whether this server tells us unasked which of its users are there."""
        return self._wanted and domain in self._granted[Permission.PRESENCE]

    def may_send_as(self, user: UserJid) -> str:
        """The user's domain, if messages may be sent in their name; else empty."""
        return user.rpartition("@")[2] if self.may(user, Permission.MESSAGES) else ""


def _granted(privilege: Element) -> set[Permission]:
    """XEP-0356 §4.2, §5.2, §6.2, §7. A list that may be set but not read is of no use to us: what
    the user has there would be overwritten."""
    types = {perm.get("access", ""): perm.get("type", "") for perm in privilege.iter(_PERM)}
    kinds = _kinds(privilege, PUBSUB)
    found = {
        Permission.MESSAGES: types.get("message") == "outgoing",
        Permission.ROSTER: types.get("roster") == "both",
        Permission.PUBSUB: "both" in kinds or kinds >= _BOTH,
        Permission.UPLOAD: bool(_kinds(privilege, UPLOAD) & {"get", "both"}),
        Permission.PRESENCE: types.get("presence") in ("managed_entity", "roster"),
    }
    return {permission for permission, is_granted in found.items() if is_granted}


def _kinds(privilege: Element, namespace: str) -> set[str | None]:
    """Of IQs in this namespace."""
    spaces = (each for each in privilege.iter(_NAMESPACE) if each.get("ns") == namespace)
    return {each.get("type") for each in spaces}
