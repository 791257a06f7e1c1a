# SPDX-License-Identifier: Apache-2.0
"""The languages that users are spoken to in (REQ-130).

English stands in the code (`gateway.text.wording`). Each other language is a catalogue in the form
of gettext, ``locale/de.po`` beside the code that speaks: the gateway has one, and so has each
adapter. A sentence that no catalogue has is said in English. ``make messages`` finds them all.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO
from typing import NamedTuple, TypeVar, cast

from gateway.text.wording import Words

T = TypeVar("T")

ENGLISH = "en"
_LONGEST_TAG = 35
"""RFC 5646 §4.4.1: nothing that matters is longer."""
_TAG = re.compile("([A-Za-z]{2,8})(?:-[A-Za-z0-9]{1,8})*")


class Said(NamedTuple):
    """What a person is told."""

    text: str
    language: str

    @property
    def tag(self) -> str:
        """What has to be said of the language: nothing, if it is English."""
        return "" if self.language == ENGLISH else self.language


class _Nothing(NullTranslations):
    """The end of a chain of catalogues."""

    def gettext(self, message: str) -> str:
        return ""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return ""

    def pgettext(self, context: str, message: str) -> str:
        return ""


_folders: list[Traversable] = []
"""Where catalogues are, the gateway's first: what it says itself, it says in one way."""


def add(folder: Traversable) -> None:
    """Another part of the program may have catalogues here. Raises what is wrong with them."""
    if folder not in _folders:
        for file in _files(folder):
            _read(file)
        _folders.append(folder)
        _catalogue.cache_clear()


def languages() -> tuple[str, ...]:
    """Those that the gateway speaks."""
    return tuple(
        sorted({ENGLISH, *(file.name.removesuffix(".po") for file in _files(_folders[0]))})
    )


def _files(folder: Traversable) -> list[Traversable]:
    found = folder.iterdir() if folder.is_dir() else ()
    return [file for file in found if file.name.endswith(".po")]


def prepare() -> None:
    """Read all catalogues, which takes its time once."""
    for language in languages():
        _catalogue(language)


@cache
def _spoken() -> frozenset[str]:
    return frozenset(languages())


def chosen(tag: str) -> str | None:
    """The language that is meant by an ``xml:lang`` (RFC 5646), if the gateway speaks it. Whatever
    strangers write there does no harm."""
    found = _TAG.fullmatch(tag) if len(tag) <= _LONGEST_TAG else None
    language = found[1].lower() if found is not None else ""
    return language if language in _spoken() else None


def said_in(text: str, language: str) -> Said:
    """A text as somebody is told it, with the language that it is in. A text that is not marked
    comes from elsewhere, and stays as it is."""
    if not isinstance(text, Words):
        return Said(text, ENGLISH)
    if language == ENGLISH:
        return Said(text.english, ENGLISH)
    return _said(text, language)


def in_language(text: str, language: str) -> str:
    """The same without the language."""
    return said_in(text, language).text


def spoken(value: T, language: str) -> T:
    """A record with all sentences in it in this language, however deep they are."""
    if isinstance(value, Words):
        return cast("T", in_language(value, language))
    if isinstance(value, tuple | list):
        return cast("T", type(value)(spoken(each, language) for each in value))
    if is_dataclass(value) and not isinstance(value, type):
        named = ((field.name, getattr(value, field.name)) for field in fields(value))
        return cast("T", replace(value, **{name: spoken(each, language) for name, each in named}))
    return value


def in_any_language(text: str) -> frozenset[str]:
    """A word in all languages, in small letters, as people may type it."""
    return frozenset(in_language(text, language).lower() for language in _spoken())


def _said(words: Words, language: str) -> Said:
    found = _found(words, language)
    is_translated, arguments = bool(found), {}
    for name, value in words.arguments.items():
        if isinstance(value, Words):
            said = _said(value, language)
            is_translated |= said.language == language
            value = said.text
        arguments[name] = value
    english = words.plural if words.plural and words.number != 1 else words.template
    text = found or english
    try:
        filled = text.format(**arguments) if arguments else text
    except (AttributeError, LookupError, ValueError):  # a mistake in a catalogue of somebody else
        return Said(words.english, ENGLISH)
    return Said(filled, language if is_translated else ENGLISH)


def _found(words: Words, language: str) -> str:
    if not words.template:  # which in a catalogue is its header
        return ""
    catalogue = _catalogue(language)
    if words.plural:
        return catalogue.ngettext(words.template, words.plural, words.number)
    if words.context:
        return catalogue.pgettext(words.context, words.template)
    return catalogue.gettext(words.template)


@cache
def _catalogue(language: str) -> NullTranslations:
    """Those of all folders, one after the other."""
    found: NullTranslations = _Nothing()
    for folder in reversed(_folders):
        file = folder / f"{language}.po"
        if file.is_file():
            one = _read(file)
            one.add_fallback(found)
            found = one
    return found


def _read(file: Traversable) -> GNUTranslations:
    # Takes its time to import, and those who speak English never need it.
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = BytesIO()
    with file.open("rb") as source:
        write_mo(compiled, read_po(source, locale=file.name.removesuffix(".po")))
    compiled.seek(0)
    return GNUTranslations(compiled)


_folders.append(files(__name__))
