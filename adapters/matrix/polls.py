# SPDX-License-Identifier: Apache-2.0
"""Polls, as text with numbers that one can react with (REQ-455). No I/O.

MSC3381, with the names that it has in the specification and those that apps write until then. As
in `inbound`, nothing here raises for what strangers have written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from adapters.matrix.inbound import MAX_BODY_BYTES, POLL_ENDS, POLL_STARTS, as_dict, as_dicts
from adapters.matrix.text import clean, cleaned
from gateway.text.wording import Words, joined, tr

_UNSTABLE = "org.matrix.msc3381.poll.start"
_RESPONSE = "org.matrix.msc3381.poll.response"
_TEXT = "org.matrix.msc1767.text"
_DISCLOSED = ("m.disclosed", "m.poll.disclosed", "org.matrix.msc3381.poll.disclosed")
_MOST = 20
"""Answers that a poll may have."""
_MAX_TEXT_BYTES = 2_000
_KEYCAPS = (*(f"{number}\ufe0f\u20e3" for number in range(1, 10)), "\U0001f51f")
_BARE = {keycap.replace("\ufe0f", ""): keycap for keycap in _KEYCAPS}


@dataclass(frozen=True, slots=True)
class Poll:
    """What is asked."""

    question: str
    answers: tuple[tuple[str, str], ...]
    """The id and the words of each."""
    most: int
    """How many of them one may choose."""
    is_stable: bool
    is_disclosed: bool = False
    """How it stands may be seen before it ends."""

    def chosen(self, emoji: Iterable[str]) -> dict[str, str]:
        """Those of these emoji that stand for an answer, with its id: the last ones, if they are
        more than one may choose."""
        answers = zip(_KEYCAPS, self.answers, strict=False)
        ids = {keycap: answer_id for keycap, (answer_id, _) in answers}
        found = [each for each in emoji if _keycap(each) in ids]
        return {each: ids[_keycap(each)] for each in found[-self.most :]}

    def numbered(self, body: str) -> str | None:
        """The id of the answer with this number."""
        number = int(body) if is_number(body) else 0
        return self.answers[number - 1][0] if 0 < number <= len(self.answers) else None

    def counted(self, content: Mapping[str, Any]) -> tuple[int, ...]:
        """The places of the answers that somebody has chosen, none if that is spoiled. MSC3381:
        what is too much does not count, and an answer that is none spoils all of it."""
        unstable = as_dict(content.get(_RESPONSE)).get("answers")
        listed = content.get("m.selections", unstable)
        places = {answer_id: place for place, (answer_id, _) in enumerate(self.answers)}
        chosen = [each for each in listed if isinstance(each, str)] if _is_list(listed) else []
        chosen = chosen[: self.most]
        if not all(each in places for each in chosen):
            return ()
        return tuple(dict.fromkeys(places[each] for each in chosen))

    def vote(self, message: str, answers: Iterable[str]) -> tuple[str, dict[str, Any]]:
        """The type and the content of the event by which somebody chooses."""
        listed = list(answers)
        content: dict[str, Any] = {
            "m.relates_to": {"rel_type": "m.reference", "event_id": message}
        }
        if self.is_stable:
            return "m.poll.response", {**content, "m.selections": listed}
        return _RESPONSE, {**content, _RESPONSE: {"answers": listed}}


def is_vote(emoji: str) -> bool:
    """Whether it may stand for an answer."""
    return _keycap(emoji) in _KEYCAPS


def is_number(body: str) -> bool:
    """Whether it may stand for an answer, in reply to a poll."""
    return 0 < len(body) <= 2 and body.isascii() and body.isdecimal()


def poll_in(kind: object, content: Mapping[str, Any]) -> Poll | None:
    """The poll that an event begins."""
    if kind not in POLL_STARTS:
        return None
    is_stable = "m.poll" in content
    poll = as_dict(content.get("m.poll" if is_stable else _UNSTABLE))
    answers = []
    for answer in as_dicts(poll.get("answers"))[:_MOST]:
        answer_id, words = answer.get("m.id", answer.get("id")), _text(answer)
        if isinstance(answer_id, str) and words:
            answers.append((answer_id, words))
    most = poll.get("max_selections")
    if not isinstance(most, int) or most < 1:
        most = 1
    question, is_disclosed = _text(as_dict(poll.get("question"))), poll.get("kind") in _DISCLOSED
    return Poll(question, tuple(answers), most, is_stable, is_disclosed)


def poll_words(poll: Poll, votes: Sequence[int] | None = None, *, has_ended: bool = False) -> str:
    """The poll, as it is told, with how many have chosen each answer."""
    lines: list[str] = [Words("\U0001f4ca {asked}", {"asked": poll.question or tr("A poll")})]
    if poll.answers:
        lines.append(numbered_words(poll, votes))
        lines += () if has_ended else (tr("To vote, react or reply with a number."),)
    return cleaned(joined(lines, "\n"), MAX_BODY_BYTES)


def numbered_words(poll: Poll, votes: Sequence[int] | None = None) -> str:
    """The answers alone."""
    lines = []
    for number, (_, words) in enumerate(poll.answers):
        mark = _KEYCAPS[number] if number < len(_KEYCAPS) else f"{number + 1}."
        lines.append(f"{mark} {words}{'' if votes is None else f' — {votes[number]}'}")
    return "\n".join(lines)


def result_in(kind: object, content: Mapping[str, Any]) -> str:
    """What the event says by which a poll ends, or the empty string if it is none."""
    if kind not in POLL_ENDS:
        return ""
    return Words("\U0001f4ca {said}", {"said": _text(content) or tr("The poll has ended.")})


def _text(value: Mapping[str, Any]) -> str:
    """In one line. It is a list of texts, or a plain one."""
    texts = as_dicts(value.get("m.text"))
    text = texts[0].get("body") if texts else value.get(_TEXT, value.get("m.text"))
    if text is None:
        text = value.get("body")
    return " ".join(clean(text, _MAX_TEXT_BYTES).split()) if isinstance(text, str) else ""


def _keycap(emoji: str) -> str:
    return _BARE.get(emoji.replace("\ufe0f", ""), emoji)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)
