# SPDX-License-Identifier: Apache-2.0
"""What a script has left behind, and what may differ when its gateway was killed.

Nothing that reached somebody in the unharmed run is missing in the other one, and nothing is
there twice: texts are told apart by their stanza id, as a client does it. A receipt is there only
for what the network has. What differs is how: an own message may be marked instead of being sent
in the user's name, a failure may become a success because the gateway asked again, and lines of a
dialogue with the gateway are forgotten, as their dialogue is.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from tests.crash.process_house import ProcessHouse
from tests.crash.world import copy_of
from tests.scenario.house import GATEWAY

_RECEIVED = "{urn:xmpp:receipts}received"
_ARCHIVED = "{urn:xmpp:mam:2}result"
_OWN = re.compile(r"((?:^> .*\n)*)You: ", re.MULTILINE)
"""Below what an answer quotes."""
_ABOUT = ("{urn:xmpp:reactions:0}reactions", "{urn:xmpp:message-retract:1}retract")
"""What is said about messages; a body stands in for it."""
_STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
_REACTION = "{urn:xmpp:reactions:0}reaction"
_ANEW = "✏ "
"""Before a correction that was said anew; after a kill the network may have made it."""
_FAILURES = ("[Not delivered: ", "[May not have arrived: ", "[A message ", "[Your reaction ")
"""Lines that tell an outcome, which may be another one after a kill."""
_ACCEPTED = 2
_ADDRESS = re.compile(r"(https://\S+/files/)[\w-]+/")
"""Of a file: each database has others."""
_PLACE, _FILE = re.compile(r"https?://\S+/(?:files|uploads)/"), "file:"
"""What is not put onto the upload service in time is told by an address of the gateway."""

Text = tuple[str, str, str]
"""To whom, from whom, what."""


@dataclass(slots=True)
class Transcript:
    """All that left the gateway for good."""

    texts: dict[str, Text] = field(default_factory=dict)
    """Of contacts and own ones, in the order of their first coming, by stanza id; in rooms also by
    to whom, since all are told of a text by the same id."""
    bodies: dict[str, str] = field(default_factory=dict)
    """Of texts in rooms, by the id that is in the archive."""
    twofold: list[str] = field(default_factory=list)
    """Ids under which two different texts came."""
    about: dict[tuple[str, str, str, str], list[str]] = field(default_factory=dict)
    """What contacts have said last about messages, by to whom, from whom, what kind, and which."""
    receipts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Ids of the receipts, by the id of what they confirm."""
    errors: set[str] = field(default_factory=set)
    """Ids of stanzas that came back."""
    on_network: Counter[Text] = field(default_factory=Counter)
    """To whom, from whom, what."""
    dead_links: list[str] = field(default_factory=list)
    """Addresses at the upload service that were told, and where nothing is."""
    open_rows: int = 0
    violations: list[str] = field(default_factory=list)
    logged_errors: set[str] = field(default_factory=set)


def transcript_of(house: ProcessHouse) -> Transcript:
    """After everything has come to rest."""
    found = Transcript(violations=list(house.server.violations))
    for stanza in house.record:
        _note(found, stanza)
    at_service = f"{house.web.base}/uploads/"
    for _, _, said in found.texts.values():
        if (
            said.startswith(at_service)
            and said.removeprefix(house.web.base) not in house.web.files
        ):
            found.dead_links.append(said)
    if house.options.uploads:
        same = _first_names(house)
        for stanza_id, (to, sender, told) in found.texts.items():
            said = _PLACE.sub(_FILE, told)
            name = said.removeprefix(_FILE)
            said = f"{_FILE}{same[name]}" if name != said and name in same else said
            found.texts[stanza_id] = (to, sender, said)
    for sent in house.network.sent:
        said = sent.body.removeprefix(_ANEW)
        if sent.file is not None and not said:  # whoever sent it has said where it is
            said = house.web.url_of(sent.file)
        found.on_network[(sent.to, sent.sender, said)] += 1
    for log in house.logs:
        if log["log_level"] in ("error", "critical"):
            found.logged_errors.add(log["event"])
    ((found.open_rows,),) = house.query(
        "SELECT (SELECT count(*) FROM inbound WHERE state < 1)"
        " + (SELECT count(*) FROM outbound WHERE state = 0)"
    )
    return found


def _first_names(house: ProcessHouse) -> dict[str, str]:
    """By the name of a file, that of the first one with the same content. At whose address it is
    depends on in whose name it was uploaded, so on when our server has said that it may be."""
    files = [
        file
        for account in ("alice", "carol", "dave")
        for event in house.network.told(account)
        for file in event.get("files", ())
    ]
    first: dict[bytes | None, str] = {}
    has = house.network.files.get
    return {file["name"]: first.setdefault(has(file["reference"]), file["name"]) for file in files}


def _note(found: Transcript, stanza: Element) -> None:
    if not stanza.tag.endswith("message") or stanza.find(_ARCHIVED) is not None:
        return  # an answer, and no delivery
    sender = stanza.get("from", "").partition("/")[0]
    if stanza.get("type") == "error":
        found.errors.add(stanza.get("id", ""))
        return
    received = stanza.find(_RECEIVED)
    if received is not None:
        if sender == GATEWAY:
            return  # of what it was told itself; lines of the gateway are not journalled
        found.receipts[received.get("id", "")].add(stanza.get("id", ""))
        return
    own = next((child for child in stanza.iter() if child.tag == "{jabber:client}message"), None)
    if own is not None:
        to, sender = own.get("from", "").partition("/")[0], own.get("to", "").partition("/")[0]
        body = own.findtext("{jabber:client}body")
    else:
        to = stanza.get("to", "").partition("/")[0]
        body = stanza.findtext("{jabber:component:accept}body")
    if own is None and sender != GATEWAY:  # the user's own need not be possible after a kill
        _note_about(found, stanza, to, sender)
    is_about = any(child.tag in _ABOUT for child in stanza.iter())
    if body is None or is_about or sender == GATEWAY or body.startswith(_FAILURES):
        return
    body = _ADDRESS.sub(r"\1", body)
    text = (to, sender, _OWN.sub(r"\1", body, count=1) if _OWN.match(body) else body)
    stanza_id = stanza.get("id", "")
    if stanza.get("type") == "groupchat":
        found.bodies |= {each.get("id", ""): body for each in stanza.findall(_STANZA_ID)}
        stanza_id = f"{stanza_id} {to}"
    first = found.texts.setdefault(stanza_id, text)
    # What was refused as a private message of a room is said by a puppet.
    if first[2] != text[2] or (first != text and not first[1].startswith("#")):
        found.twofold.append(stanza_id)


def _note_about(found: Transcript, stanza: Element, to: str, sender: str) -> None:
    for kind in _ABOUT:
        if (said := stanza.find(kind)) is not None:
            # That a message is gone is told in two forms (REQ-567), and may be in either order.
            what = [child.text or "" for child in said if child.tag == _REACTION]
            found.about[(to, sender, kind, said.get("id", ""))] = what


def examine_the_dead(house: ProcessHouse) -> list[str]:
    """Nothing has left the process on the strength of something that is not on the disk."""
    wrong = []
    with copy_of(house.folder / "gateway.db") as db:
        try:
            # Rows of an account that was removed are gone; their numbers are not given again.
            (last,) = db.execute(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbound'"
            ).fetchone()
            known = set(db.execute("SELECT stanza_id, state FROM outbound"))
            cursors = dict(db.execute("SELECT remote_id, cursor FROM account"))
        except sqlite3.OperationalError:
            return []  # it died before it had made its tables
        wrong += [
            f"sent before the commit: {sent}"
            for sent in house.network.sent
            if sent.key and int(sent.key.split(".")[1]) > last
        ]
        for stanza in house.record:
            received = stanza.find(_RECEIVED)
            text_id = received.get("id", "") if received is not None else ""
            if text_id and cursors and (text_id, _ACCEPTED) not in known:
                wrong.append(f"a receipt before the commit: {text_id}")
        for account, cursor in cursors.items():
            if cursor is not None and house.network.acknowledged[account] > int(cursor):
                wrong.append(f"acknowledged before the commit: {account}")
    return wrong


def differences(
    unharmed: Transcript,
    killed: Transcript,
    sent: dict[str, str],
    parts: dict[str, list[str]],
    died: set[str],
    said: set[str],
    *,
    has_keys: bool,
    delivered: Counter[str],
) -> list[str]:
    """What must not be so. ``sent`` are the users' texts by stanza id, ``parts`` what those with
    several files are on the network, ``died`` those that nobody has sent again, ``said`` those of
    contacts, and ``delivered`` how often texts may have been sent."""
    wrong = [f"the server would end the stream: {v}" for v in killed.violations]
    wrong += [f"two texts under one id: {twofold}" for twofold in killed.twofold]
    wrong += [f"told as a file, and not there: {url}" for url in killed.dead_links]
    if more := killed.logged_errors - unharmed.logged_errors:
        wrong.append(f"logged as errors: {more}")
    if killed.open_rows > unharmed.open_rows:
        wrong.append(f"{killed.open_rows} open rows are left, {unharmed.open_rows} unharmed")
    # Without keys nobody can say that the echo of an uncertain text is that: it has another id.
    uncertain = set() if has_keys else died | {sent.get(each, "") for each in killed.errors}
    there = _about_texts(killed)
    wrong += [
        f"not said of a message: {about} {what}, but {there.get(about)}"
        for about, what in _about_texts(unharmed).items()
        if there.get(about) != what and about[3] not in uncertain
    ]
    wrong += _inbound(unharmed, killed, sent, said, uncertain)
    wrong += _outbound(unharmed, killed, sent, parts, died, delivered)
    return wrong


def _about_texts(transcript: Transcript) -> dict[tuple[str, str, str, str], list[str]]:
    """With the texts of rooms in place of their ids: which ids they get depends on what was sent
    before them."""
    return {
        (to, sender, kind, transcript.bodies.get(message, message)): what
        for (to, sender, kind, message), what in transcript.about.items()
    }


def _inbound(
    unharmed: Transcript,
    killed: Transcript,
    sent: dict[str, str],
    said: set[str],
    uncertain: set[str],
) -> list[str]:
    wanted, came = Counter(unharmed.texts.values()), Counter(killed.texts.values())
    wrong = [f"did not come: {text}" for text in wanted - came]
    # Somebody who could not end their account, because the gateway died of it, still has it.
    # And a text that the network would have refused may be there, as rooms show to who said it.
    there = {body for _, _, body in killed.on_network}.intersection(sent.values())
    at_all = {text for text in came if text not in wanted and text[2] in said | there}
    more = came - wanted - Counter(at_all)
    # The echo of an uncertain text is shown, and so it is when it is said again.
    more = Counter({text: n for text, n in more.items() if text[2] not in uncertain})
    wrong += [f"came under another id, or from nowhere: {text}" for text in more]
    for chat in {(to, sender) for to, sender, _ in wanted}:
        before, after = _order(unharmed, chat, uncertain), _order(killed, chat, uncertain)
        if not wrong and [text for text in after if text in before] != before:
            wrong.append(f"out of order: {after} instead of {before}")
    return wrong


def _order(transcript: Transcript, chat: tuple[str, str], but: set[str]) -> list[str]:
    """But for these, files that take long, and what answers them: after a start they may be in
    time."""
    return [
        body
        for to, sender, body in transcript.texts.values()
        if (to, sender) == chat
        and body not in but
        and "📎" not in body
        and not body.startswith(_FILE)
    ]


def _outbound(
    unharmed: Transcript,
    killed: Transcript,
    sent: dict[str, str],
    parts: dict[str, list[str]],
    died: set[str],
    delivered: Counter[str],
) -> list[str]:
    there = {body for _, _, body in killed.on_network}
    wrong = [
        f"{count} times on the network: {text}"
        for text, count in killed.on_network.items()
        if count
        > max(1, unharmed.on_network[text], delivered[text[2]])
        + _again(text[2], sent, parts, killed)
    ]
    back = died | {sent.get(text_id, "") for text_id in killed.errors}
    wrong += [
        f"not on the network, and no error: {text}"
        for text in unharmed.on_network - killed.on_network
        if text[2] not in back
    ]
    for text_id, ids in killed.receipts.items():
        if text_id in sent and not _is_there(sent[text_id], there):
            wrong.append(f"a receipt for what the network does not have: {text_id}")
        if len(ids) > 1 and len(unharmed.receipts[text_id]) < len(ids):
            wrong.append(f"{len(ids)} receipts for {text_id}")
    for text_id in unharmed.receipts.keys() - killed.receipts.keys():
        if text_id not in killed.errors:
            wrong.append(f"neither receipt nor error: {text_id}")
    return wrong


def _again(
    part: str, sent: dict[str, str], parts: dict[str, list[str]], killed: Transcript
) -> int:
    """Of a long text, or of several files, that came back some parts may have arrived, and it is
    said again."""
    bodies = (sent.get(text_id, "") for text_id in killed.errors)
    of_texts = sum(body.count(part) for body in bodies if len(body) > len(part))
    return of_texts + sum(part in parts.get(text_id, ()) for text_id in killed.errors)


def _is_there(body: str, there: set[str]) -> bool:
    """A long text is on the network in parts."""
    return any(part == body or (len(body) > len(part) and part in body) for part in there) or not (
        body.strip()
    )
