# SPDX-License-Identifier: Apache-2.0
"""Reading messages: one pass over the children of a parsed element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from gateway.events import Enclosed, LinkPreview
from gateway.text import Span
from gateway.xmpp.codec import enclosing, previews, sent_files, styles
from gateway.xmpp.codec.enclosing import REFERENCE, place

ACCEPT = "{jabber:component:accept}"
_STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
_CHAT_STATES = "{http://jabber.org/protocol/chatstates}"
FALLBACK = "{urn:xmpp:fallback:0}"
REPLY = "urn:xmpp:reply:0"
REACTIONS = "urn:xmpp:reactions:0"
RETRACT = "urn:xmpp:message-retract:1"
ATTENTION = "urn:xmpp:attention:0"
CALL_INVITES = "urn:xmpp:call-invites:0"
MENTIONS = "urn:xmpp:mentions:0"
CHANNEL = f"{MENTIONS}#channel"


_MUC_USER = "{http://jabber.org/protocol/muc#user}"
LONGEST_ID = 1_000
"""Characters. Answers repeat ids, and each may take the place of six (REQ-105)."""
_MOST_GUESTS = 20
_MOST_REFERENCES = 100
_LONGEST_THREAD = 600


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody whom a message invites into a room."""

    jid: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reference:
    """Somebody whom a text names (XEP-0372 §3.2, XEP-0513 §3)."""

    uri: str = ""
    occupant: str = ""
    group: str = ""
    """What kind of people, if they are several."""
    begin: int = 0
    end: int = 0
    """Of the body, in code points (XEP-0426); equal if no part of it does."""
    notify: bool = True


@dataclass(slots=True)
class IncomingMessage:
    """What the gateway understands of a ``<message/>``. Unknown payloads are left out."""

    sender: str
    to: str
    type: str
    id: str
    body: str | None = None
    subject: str | None = None
    """Empty if there is to be none."""
    origin_id: str = ""
    server_id: str = ""
    """What it is called by the sender's own server, as far as that can be known (XEP-0359)."""
    wants_receipt: bool = False
    received: str = ""
    displayed: str = ""
    chat_state: str = ""
    encrypted: bool = False
    condition: str = ""
    """Of an error,"""
    error_type: str = ""
    """and its type."""
    privilege: Element | None = None
    guests: list[Guest] = field(default_factory=list)
    """Whom the room is to invite (XEP-0045 §7.8.2)."""
    declines: bool = False
    """It is an answer to such an invitation."""
    conference: str = ""
    """The room into which the addressee is invited (XEP-0249),"""
    conference_reason: str = ""
    """and why."""
    replaces: str = ""
    """By the ``@id`` of what is corrected."""
    reply_to: str = ""
    reply_parts: list[tuple[int, int]] = field(default_factory=list)
    """Of the body: what stands in for the reply, in code points."""
    reacts_to: str | None = None
    reactions: tuple[str, ...] = ()
    retracts: str | None = None
    references: list[Reference] = field(default_factory=list)
    thread: str = ""
    call: str = ""
    """By which namespace its sender calls the addressee (XEP-0353, XEP-0482),"""
    call_id: str = ""
    """and what the call is called."""
    attention: bool = False
    """There is a request for it (XEP-0224),"""
    delayed: bool = False
    """and it comes late (XEP-0203)."""
    beside: list[enclosing.Found] = field(default_factory=list)
    previews: list[LinkPreview] = field(default_factory=list)
    styles: styles.Said | None = None
    """What is said of the text's styles beside it."""
    seen: sent_files.Seen | None = None
    """What may be about files."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """How parts of the body are meant."""
        return styles.spans_of(self.body, self.styles) if self.body else ()

    @property
    def enclosed(self) -> tuple[Enclosed, ...]:
        """What is beside the text for other clients."""
        return enclosing.kept(self.beside) if self.beside else ()

    @property
    def sharing(self) -> sent_files.Sharing:
        """The files that it sends."""
        is_spoiler = self.styles is not None and self.styles.spoiler is not None
        return sent_files.sharing(self.body or "", self.seen, is_spoiler=is_spoiler)

    @property
    def has_content(self) -> bool:
        """Its sender waits for what becomes of it."""
        return self._says_something or self.is_subject

    @property
    def is_subject(self) -> bool:
        """Nothing but a subject for a room (XEP-0045 §8.1)."""
        is_set = self.type == "groupchat" and self.subject is not None
        return is_set and not self._says_something

    @property
    def _says_something(self) -> bool:
        about = (self.body, self.reacts_to, self.retracts)
        return any(said is not None for said in about) or self.wants_attention

    @property
    def wants_attention(self) -> bool:
        """Of one person. What comes late does not, nor what takes the place of another text."""
        is_of_chat = self.type in ("chat", "normal", "headline")
        return self.attention and is_of_chat and not self.delayed and not self.replaces


def _body(message: IncomingMessage, child: Element) -> None:
    if message.body is None:  # further languages are translations of the first
        message.body = child.text or None


def _subject(message: IncomingMessage, child: Element) -> None:
    if message.subject is None:
        message.subject = child.text or ""


def _origin_id(message: IncomingMessage, child: Element) -> None:
    id = child.get("id", "")
    message.origin_id = id if len(id) <= LONGEST_ID else ""  # it would be in what others get


def _stanza_id(message: IncomingMessage, child: Element) -> None:
    id = child.get("id", "")
    if child.get("by", "") == message.sender.partition("/")[0] and len(id) <= LONGEST_ID:
        message.server_id = id


def _request(message: IncomingMessage, _: Element) -> None:
    message.wants_receipt = True


def _received(message: IncomingMessage, child: Element) -> None:
    message.received = child.get("id", "")


def _displayed(message: IncomingMessage, child: Element) -> None:
    message.displayed = child.get("id", "")


def _encrypted(message: IncomingMessage, _: Element) -> None:
    message.encrypted = True


def _chat_state(message: IncomingMessage, child: Element) -> None:
    message.chat_state = child.tag.rpartition("}")[2]


def _error(message: IncomingMessage, child: Element) -> None:
    message.error_type = child.get("type", "")
    for condition in child:
        if condition.tag.startswith(_STANZAS) and not condition.tag.endswith("}text"):
            message.condition = condition.tag[len(_STANZAS) :]


def _privilege(message: IncomingMessage, child: Element) -> None:
    message.privilege = child


def _muc_user(message: IncomingMessage, child: Element) -> None:
    for invite in child.findall(f"{_MUC_USER}invite")[:_MOST_GUESTS]:
        if jid := invite.get("to", ""):
            message.guests.append(Guest(jid, invite.findtext(f"{_MUC_USER}reason", "")))
    message.declines = child.find(f"{_MUC_USER}decline") is not None


def _conference(message: IncomingMessage, child: Element) -> None:
    message.conference = child.get("jid", "")
    message.conference_reason = child.get("reason", "")


def _replace(message: IncomingMessage, child: Element) -> None:
    message.replaces = child.get("id", "")


def _reply(message: IncomingMessage, child: Element) -> None:
    message.reply_to = child.get("id", "")


def _proposes(message: IncomingMessage, child: Element) -> None:
    id = child.get("id", "")
    if id and len(id) <= LONGEST_ID:
        message.call, message.call_id = "urn:xmpp:jingle-message:0", id


def _invites(message: IncomingMessage, _: Element) -> None:
    """An answer names the message, unless it has no id to be named by."""
    if message.id:
        message.call, message.call_id = CALL_INVITES, message.id


def _attention(message: IncomingMessage, _: Element) -> None:
    message.attention = True


def _delay(message: IncomingMessage, _: Element) -> None:
    message.delayed = True


def _thread(message: IncomingMessage, child: Element) -> None:
    """XEP-0201. What it is a child of is of no use without that."""
    said = (child.text or "").strip()
    if len(said) <= _LONGEST_THREAD:
        message.thread = said


def _of_file(message: IncomingMessage, child: Element) -> None:
    """For other clients, and perhaps for the network."""
    if message.seen is None:
        message.seen = sent_files.Seen()
    message.seen.take(child)
    if child.tag in enclosing.TAGS:
        _beside(message, child)


def _beside(message: IncomingMessage, child: Element) -> None:
    found = enclosing.read(child)
    if found is not None:
        message.beside.append(found)


def _preview(message: IncomingMessage, child: Element) -> None:
    """For other clients, and for the network."""
    previews.read(child, message.previews)
    _beside(message, child)


def _style(message: IncomingMessage, child: Element) -> None:
    """Networks get it as they can take it; clients of others in a room as it came."""
    if message.styles is None:
        message.styles = styles.Said()
    message.styles.take(child)
    if child.tag in enclosing.TAGS:
        _beside(message, child)


def _fallback(message: IncomingMessage, child: Element) -> None:
    """XEP-0428 §2.2. What stands in for a reply is written anew: see `gateway.bridge.rooms`."""
    if child.get("for") != REPLY:
        _of_file(message, child)
        return
    for part in child.findall(f"{FALLBACK}body"):
        start, end = place(part.get("start")), place(part.get("end"))
        if start is not None and end is not None:
            message.reply_parts.append((start, end))


def _reference(message: IncomingMessage, child: Element) -> None:
    if child.get("type") == "mention":
        _refers(message, child)
    else:
        _of_file(message, child)


def _refers(message: IncomingMessage, child: Element) -> None:
    """One without a place names somebody, and one with a wrong place is forged."""
    begin, end, get = place(child.get("begin")), place(child.get("end")), child.get
    is_placed = "begin" in child.attrib or "end" in child.attrib
    if len(message.references) >= _MOST_REFERENCES or (
        is_placed and (begin is None or end is None or begin >= end)
    ):
        return
    found = Reference(
        uri=get("uri", "") or (f"xmpp:{get('jid')}" if get("jid") else ""),
        occupant=get("occupantid", ""),
        group=get("mentions", ""),
        begin=begin or 0,
        end=end or 0,
        notify=child.find(f"{{{MENTIONS}}}noping") is None,
    )
    message.references.append(found)


def _reactions(message: IncomingMessage, child: Element) -> None:
    message.reacts_to = child.get("id", "")
    found = ((each.text or "").strip() for each in child.findall(f"{{{REACTIONS}}}reaction"))
    message.reactions = tuple(dict.fromkeys(filter(None, found)))


def _retract(message: IncomingMessage, child: Element) -> None:
    message.retracts = child.get("id", "")


def _apply_to(message: IncomingMessage, child: Element) -> None:
    """XEP-0422, by which older clients retract (REQ-427)."""
    if child.find("{urn:xmpp:message-retract:0}retract") is not None:
        message.retracts = child.get("id", "")


CONTENT = frozenset(
    {
        f"{ACCEPT}body",
        f"{{{REACTIONS}}}reactions",
        f"{{{RETRACT}}}retract",
        "{urn:xmpp:fasten:0}apply-to",
        f"{{{ATTENTION}}}attention",
        f"{{{enclosing.OOB}}}x",
        f"{{{enclosing.SFS}}}file-sharing",
    }
)
"""Who sends one of these waits for what becomes of it."""

_READERS: dict[str, Callable[[IncomingMessage, Element], None]] = {
    **dict.fromkeys(enclosing.TAGS, _of_file),
    sent_files.STICKER: _of_file,
    previews.TAG: _preview,
    **dict.fromkeys((styles.MARKUP, styles.SPOILER, styles.UNSTYLED, styles.XHTML), _style),
    f"{ACCEPT}body": _body,
    f"{ACCEPT}subject": _subject,
    f"{ACCEPT}thread": _thread,
    **dict.fromkeys((f"{ACCEPT}error", "{jabber:client}error"), _error),
    "{urn:xmpp:sid:0}origin-id": _origin_id,
    "{urn:xmpp:sid:0}stanza-id": _stanza_id,
    "{urn:xmpp:receipts}request": _request,
    "{urn:xmpp:receipts}received": _received,
    "{urn:xmpp:chat-markers:0}displayed": _displayed,
    "{eu.siacs.conversations.axolotl}encrypted": _encrypted,
    **dict.fromkeys((f"{{urn:xmpp:omemo:{n}}}encrypted" for n in (1, 2)), _encrypted),
    "{urn:xmpp:eme:0}encryption": _encrypted,
    "{urn:xmpp:openpgp:0}openpgp": _encrypted,
    "{jabber:x:encrypted}x": _encrypted,
    f"{_MUC_USER}x": _muc_user,
    "{jabber:x:conference}x": _conference,
    "{urn:xmpp:message-correct:0}replace": _replace,
    f"{{{REPLY}}}reply": _reply,
    f"{FALLBACK}fallback": _fallback,
    f"{{{REFERENCE}}}reference": _reference,
    f"{{{MENTIONS}}}mention": _refers,
    f"{{{REACTIONS}}}reactions": _reactions,
    f"{{{RETRACT}}}retract": _retract,
    "{urn:xmpp:fasten:0}apply-to": _apply_to,
    f"{{{ATTENTION}}}attention": _attention,
    "{urn:xmpp:delay}delay": _delay,
    "{urn:xmpp:jingle-message:0}propose": _proposes,
    f"{{{CALL_INVITES}}}invite": _invites,
    **dict.fromkeys((f"{{urn:xmpp:privilege:{n}}}privilege" for n in (1, 2)), _privilege),
    **{
        f"{_CHAT_STATES}{state}": _chat_state
        for state in ("active", "composing", "paused", "inactive", "gone")
    },
}


def read_message(element: Element) -> IncomingMessage:
    """Read a ``<message/>``. Never raises, whatever it holds."""
    get = element.get
    message = IncomingMessage(get("from", ""), get("to", ""), get("type", "normal"), get("id", ""))
    for child in element:
        reader = _READERS.get(child.tag)
        if reader is not None:
            reader(message, child)
    if message.seen is not None and message.body is None:  # a file without a word
        message.body = next((file.url for file in message.sharing.files), None)
    return message
