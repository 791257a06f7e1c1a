# SPDX-License-Identifier: Apache-2.0
"""Comparing stanzas with patterns.

A pattern is a stanza with holes, in attributes and in text:

``{any}``        anything, also nothing
``{uuid}``       a UUID
``{id=uuid}``    a UUID, called ``id`` from now on (also ``{id=any}``)
``{id}``         what was called ``id`` before
``{more}``       as a child: further children may follow, whatever they are

Children of a stanza may come in any order, since their order means nothing; deeper it counts.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

ACCEPT = "{jabber:component:accept}"
_KINDS = {"any": r"[\s\S]*", "uuid": r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"}
_HOLE = re.compile(r"\{(?:(\w+)=)?(\w+)\}")
_MORE = "{more}"

Names = dict[str, str]


class Mismatch(AssertionError):
    """What came is not what was expected."""


def parse(xml: str) -> list[Element]:
    """The stanzas of a block."""
    root = ElementTree.fromstring(f"<stream xmlns='jabber:component:accept'>{xml}</stream>")
    return list(root)


def fill(text: str, names: Names) -> str:
    """Put names into what the test itself sends."""
    return _HOLE.sub(lambda hole: names.get(hole[2], hole[0]), text)


def match(pattern: Element, actual: Element, names: Names) -> None:
    """Compare, and learn names. Raises `Mismatch` with both sides, readable."""
    learnt = dict(names)
    if not _matches(pattern, actual, learnt, ordered=False):
        raise Mismatch(
            f"\nexpected:\n{shown(pattern)}\n\nactual:\n{shown(actual)}\n\nnames: {names}"
        )
    names.update(learnt)


def _matches(pattern: Element, actual: Element, names: Names, *, ordered: bool) -> bool:
    if pattern.tag != actual.tag or set(pattern.keys()) ^ set(actual.keys()):
        return False
    if not all(_text(value, actual.get(name, ""), names) for name, value in pattern.items()):
        return False
    more = _MORE in (pattern.text or "") or any(_MORE in (child.tail or "") for child in pattern)
    text = (pattern.text or "").replace(_MORE, "")
    children = list(pattern) + list(actual)
    if not _text(text.strip() if children else text, (actual.text or ""), names):
        return False
    return _children(list(pattern), list(actual), names, ordered=ordered, more=more)


def _children(
    patterns: list[Element], actual: list[Element], names: Names, *, ordered: bool, more: bool
) -> bool:
    for pattern in patterns:
        for candidate in actual[:1] if ordered else actual:
            learnt = dict(names)
            if _matches(pattern, candidate, learnt, ordered=True):
                names.update(learnt)
                actual.remove(candidate)
                break
        else:
            return False
    return more or not actual


def _text(pattern: str, actual: str, names: Names) -> bool:
    groups: dict[str, str] = {}

    def hole(found: re.Match[str]) -> str:
        name, kind = found[1], found[2]
        if name is not None:
            groups[name] = f"hole{len(groups)}"
            return f"(?P<{groups[name]}>{_KINDS[kind]})"
        return _KINDS[kind] if kind in _KINDS else re.escape(names[kind])

    parts, end = [], 0
    for found in _HOLE.finditer(pattern):
        parts += [re.escape(pattern[end : found.start()]), hole(found)]
        end = found.end()
    matched = re.fullmatch("".join([*parts, re.escape(pattern[end:])]), actual)
    if matched is None:
        return False
    names.update({name: matched[group] for name, group in groups.items()})
    return True


def shown(element: Element, indent: str = "  ") -> str:
    """An element as people write it: no prefixes, one child a line."""
    return "\n".join(_lines(element, "jabber:component:accept", indent))


def _lines(element: Element, outer: str, indent: str) -> list[str]:
    namespace, _, name = element.tag[1:].rpartition("}") if "}" in element.tag else ("", "", "")
    name = name or element.tag
    declared = f" xmlns='{namespace}'" if namespace != outer else ""
    attributes = "".join(f" {key}={value!r}" for key, value in element.items())
    text = (element.text or "").strip()
    text = text if len(text) < 500 else f"{text[:200]}… ({len(text)} characters)"
    start = f"{indent}<{name}{declared}{attributes}"
    if not len(element):
        return [f"{start}>{text}</{name}>" if text else f"{start}/>"]
    lines = [f"{start}>{text}"]
    for child in element:
        lines += _lines(child, namespace, indent + "  ")
    return [*lines, f"{indent}</{name}>"]
