# SPDX-License-Identifier: Apache-2.0
"""Sentences for people, which can be said in another language.

A sentence stands in the code in English and is marked: ``tr("There is no setting “{name}”.",
name=name)``. What comes back is a `str`, the English sentence, so it works wherever text does; and
it remembers of what it was made, so that whoever hands it to a person can say it in their language
(`gateway.locale.said_in`). What is cut, stripped or put together by hand forgets that: put it
together with `tr` or `joined`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Words(str):
    """A marked sentence, in English."""

    __slots__ = ("arguments", "context", "number", "plural", "template")

    template: str
    """In English, as it stands in the catalogues, with ``{names}`` where the arguments go."""
    plural: str
    """The same for several; empty if it counts nothing."""
    number: int
    """How many, if it counts something."""
    context: str
    """What it is, where the sentence alone does not tell (as in gettext)."""
    arguments: Mapping[str, Any]
    """Sentences among them are said in the same language."""

    def __new__(
        cls,
        template: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        plural: str = "",
        number: int = 1,
        context: str = "",
    ) -> Words:
        given = arguments or {}
        english = plural if plural and number != 1 else template
        made = str.__new__(cls, english.format(**given) if given else english)
        made.template, made.plural, made.number = template, plural, number
        made.context, made.arguments = context, given
        return made

    def __str__(self) -> str:
        return self  # also as the text of an error

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (self.english,)

    @property
    def english(self) -> str:
        """Nothing but the text."""
        return str.__str__(self)

    def format(self, *_: object, **arguments: Any) -> Words:
        """The sentence with its arguments, where they are known later."""
        return Words(
            self.template, arguments, plural=self.plural, number=self.number, context=self.context
        )


def tr(template: str, **arguments: Any) -> Words:
    """Mark a sentence. ``template`` must be a literal, for it is looked for in the code."""
    return Words(template, arguments)


def trn(one: str, many: str, count: int, **arguments: Any) -> Words:
    """Mark a sentence that counts something; ``{count}`` is the number."""
    return Words(one, {"count": count, **arguments}, plural=many, number=count)


def trc(context: str, template: str) -> Words:
    """Mark a word that means something else elsewhere; ``context`` tells the translator."""
    return Words(template, context=context)


def joined(parts: Iterable[str], by: str = " ") -> Words:
    """Several texts one after the other, each said in the same language, without empty
    ones."""
    return in_row(filter(None, parts), by)


def in_row(parts: Iterable[str], by: str) -> Words:
    """The same with empty ones, as the cells of a table."""
    named = {f"part{number}": part for number, part in enumerate(parts)}
    return Words(by.join(f"{{{name}}}" for name in named), named)


def ended(text: str) -> str:
    """A text with a full stop at its end."""
    return text if text.endswith(".") else Words("{text}.", {"text": text})


def plain(text: object) -> str:
    """For encoders that take none but real strings. Raises `NotImplementedError` for the rest."""
    if isinstance(text, str):
        return text.english if isinstance(text, Words) else str.__str__(text)
    raise NotImplementedError(f"a {type(text).__name__} cannot be encoded")
