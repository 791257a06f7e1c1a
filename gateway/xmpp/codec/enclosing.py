# SPDX-License-Identifier: Apache-2.0
"""What clients put beside a text for other clients (REQ-563): read, and written anew.

Nothing goes on as it came. Of the elements that are named here that is written which is named
here; what has to be there and is not, or has a value that it must not have, is dropped with the
element that it belongs to. Addresses of files are those of the web: others may say who somebody
is, in rooms that do not tell that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from xml.etree.ElementTree import Element

from gateway.events import Enclosed
from gateway.xmpp.codec.xml import attribute, text

FALLBACK = "urn:xmpp:fallback:0"
REFERENCE = "urn:xmpp:reference:0"
OOB = "jabber:x:oob"
SFS = "urn:xmpp:sfs:0"
SIMS = "urn:xmpp:sims:1"
_MARKUP = "urn:xmpp:markup:0"
METADATA = "urn:xmpp:file:metadata:0"
JINGLE_FILE = "urn:xmpp:jingle:apps:file-transfer:5"
URL_DATA = "{http://jabber.org/protocol/url-data}url-data"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
OPEN_GRAPH = "https://ogp.me/ns#"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_ABOUT = f"{{{RDF}}}about"
_PREFIXED = {_LANG: "xml:lang", _ABOUT: f"xmlns:rdf='{RDF}' rdf:about"}
"""Attributes that have a namespace of their own, as they are written."""

MOST = 20
"""Of one message,"""
MOST_CHARS = 16_000
"""all together, as they are written."""
_WORDS, _WORD = 1_000, 100

Check = Callable[[str], bool]


def place(value: str | None) -> int | None:
    """A place in a text; None if that is none."""
    is_number = value is not None and value.isascii() and value.isdigit() and len(value) < 9
    return int(value) if value is not None and is_number else None


def _is_place(value: str) -> bool:
    return place(value) is not None


def _is_words(value: str) -> bool:
    return len(value) <= _WORDS


def _is_word(value: str) -> bool:
    return len(value) <= _WORD


def is_url(value: str) -> bool:
    """Of the web."""
    is_web = value.lower().startswith(("https://", "http://"))
    return is_web and len(value) <= 2 * _WORDS and not any(map(str.isspace, value))


def _is_data(value: str) -> bool:
    return value == "data"


def _is_picture(value: str) -> bool:
    return value.startswith("data:image/")  # what is elsewhere would be fetched from the sender


@dataclass(frozen=True, slots=True)
class _Shape:
    """Of an element: what of it is passed on."""

    attributes: Mapping[str, Check] = field(default_factory=dict)
    children: Mapping[str, _Shape] = field(default_factory=dict)
    text: Check | None = None
    needs: frozenset[str] = frozenset()
    """Attributes and children; without any of these it says nothing."""


_TEXT = _Shape({_LANG: _is_word}, text=_is_words)
_SPAN = {"start": _is_place, "end": _is_place}
_HASH = _Shape({"algo": _is_word}, text=_is_words, needs=frozenset({"algo"}))
_THUMBNAIL = _Shape(
    {"uri": _is_picture, "media-type": _is_word, "width": _is_place, "height": _is_place},
    needs=frozenset({"uri"}),
)
_FILE = ("media-type", "name", "size", "date", "desc", "width", "height", "length")


def _file(namespace: str) -> _Shape:
    """XEP-0446, XEP-0234."""
    return _Shape(
        children={
            **{f"{{{namespace}}}{name}": _TEXT for name in _FILE},
            "{urn:xmpp:hashes:2}hash": _HASH,
            "{urn:xmpp:thumbs:1}thumbnail": _THUMBNAIL,
        }
    )


_SOURCE = _Shape({"type": _is_data, "uri": is_url}, needs=frozenset({"uri"}))
_SHARED = _Shape(
    children={
        f"{{{JINGLE_FILE}}}file": _file(JINGLE_FILE),
        f"{{{SIMS}}}sources": _Shape(
            children={f"{{{REFERENCE}}}reference": _SOURCE},
            needs=frozenset({f"{{{REFERENCE}}}reference"}),
        ),
    },
    needs=frozenset({f"{{{SIMS}}}sources"}),
)
_SHAPES = {
    f"{{{OOB}}}x": _Shape(
        children={
            f"{{{OOB}}}url": _Shape(text=is_url),
            f"{{{OOB}}}desc": _TEXT,
        },
        needs=frozenset({f"{{{OOB}}}url"}),
    ),
    f"{{{SFS}}}file-sharing": _Shape(
        {"disposition": _is_word, "id": _is_word},
        {
            f"{{{METADATA}}}file": _file(METADATA),
            f"{{{SFS}}}sources": _Shape(
                children={URL_DATA: _Shape({"target": is_url}, needs=frozenset({"target"}))},
                needs=frozenset({URL_DATA}),
            ),
        },
        needs=frozenset({f"{{{METADATA}}}file", f"{{{SFS}}}sources"}),
    ),
    f"{{{REFERENCE}}}reference": _Shape(
        {"type": _is_data, "begin": _is_place, "end": _is_place, "uri": is_url},
        {f"{{{SIMS}}}media-sharing": _SHARED},
        needs=frozenset({"uri", f"{{{SIMS}}}media-sharing"}),
    ),
    f"{{{RDF}}}Description": _Shape(
        {_ABOUT: is_url},
        {
            f"{{{OPEN_GRAPH}}}{name}": _Shape(text=_is_words)
            for name in ("title", "description", "site_name")
        },
        needs=frozenset({_ABOUT}),
    ),
    "{urn:xmpp:spoiler:0}spoiler": _TEXT,
    "{urn:xmpp:styling:0}unstyled": _Shape(),
    f"{{{_MARKUP}}}markup": _Shape(
        children={
            f"{{{_MARKUP}}}span": _Shape(
                _SPAN,
                {
                    f"{{{_MARKUP}}}{name}": _Shape()
                    for name in ("emphasis", "strong", "code", "deleted")
                },
            ),
            f"{{{_MARKUP}}}bcode": _Shape({**_SPAN, "language": _is_word}),
            f"{{{_MARKUP}}}bquote": _Shape(_SPAN),
            f"{{{_MARKUP}}}list": _Shape(
                {**_SPAN, "ordered": _is_word},
                {f"{{{_MARKUP}}}li": _Shape({"start": _is_place})},
            ),
        }
    ),
    f"{{{FALLBACK}}}fallback": _Shape(
        {"for": _is_word},
        {f"{{{FALLBACK}}}body": _Shape(_SPAN)},
        needs=frozenset({"for"}),
    ),
}
"""XEP-0066 §3, XEP-0447, XEP-0372 with XEP-0385, XEP-0382, XEP-0393 §6, XEP-0394, XEP-0428,
XEP-0511 §3."""

TAGS = frozenset(_SHAPES)
_IN_TEXT = frozenset({"begin", "end", "start"})
"""Attributes that are places in the body."""


@dataclass(frozen=True, slots=True)
class Found:
    """One of them."""

    namespace: str
    stands_for: str
    """Namespace of what a part of the body stands in for, if it says that."""
    enclosed: Enclosed
    size: int


def read(element: Element) -> Found | None:
    """What is passed on of an element whose name is in `TAGS`; None if that is nothing."""
    written: list[str | int] = []
    if not _write(element, _SHAPES[element.tag], "", written):
        return None
    namespace = _namespace(element.tag)
    return Found(
        namespace,
        element.get("for", "") if namespace == FALLBACK else "",
        Enclosed(written=tuple(_joined(written))),
        sum(len(part) if isinstance(part, str) else 8 for part in written),
    )


def kept(found: Iterable[Found]) -> tuple[Enclosed, ...]:
    """Those of one message that are passed on: not too many, and none that says that the body
    stands in for what is not there."""
    some: list[Found] = []
    left = MOST_CHARS
    for each in found:
        left -= each.size
        if len(some) < MOST and left >= 0:
            some.append(each)
    there = {each.namespace for each in some}
    return tuple(e.enclosed for e in some if not e.stands_for or e.stands_for in there)


def _namespace(tag: str) -> str:
    return tag[1:].partition("}")[0]


def _joined(written: Iterable[str | int]) -> Iterable[str | int]:
    for kind, parts in groupby(written, type):
        if kind is str:
            yield "".join(map(str, parts))
        else:
            yield from parts


def _write(element: Element, shape: _Shape, within: str, to: list[str | int]) -> bool:
    """False if nothing is. ``within``: the namespace of what it is in."""
    namespace, name = element.tag[1:].split("}")
    declared = "" if namespace == within else f" xmlns='{namespace}'"
    opening: list[str | int] = [f"<{name}{declared}"]
    there = set()
    for key, is_allowed in shape.attributes.items():
        value = element.get(key)
        if value is None:
            continue
        if not is_allowed(value):
            return False
        there.add(key)
        said = int(value) if key in _IN_TEXT else attribute(value)
        opening += [f" {_PREFIXED.get(key, key)}='", said, "'"]
    inner: list[str | int] = []
    words = element.text or ""
    if shape.text is not None:
        if not shape.text(words):
            return False
        inner.append(text(words))
    for child in element:
        known = shape.children.get(child.tag)
        if known is not None and _write(child, known, namespace, inner):
            there.add(child.tag)
    if shape.needs and not shape.needs & there:
        return False
    to += [*opening, ">", *inner, f"</{name}>"]
    return True
