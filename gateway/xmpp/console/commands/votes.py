# SPDX-License-Identifier: Apache-2.0
"""Voting in a poll, for clients that cannot react (REQ-220, REQ-455)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.adapter import Poll
from gateway.bridge.splitting import one_line
from gateway.text.wording import joined, tr
from gateway.xmpp.console.commands.conversations import meant_by, which_conversation
from gateway.xmpp.console.model import Dialogue, Field, Form, Kind, Note, Option

_CHARS = 300
"""Of what is asked, and of each answer: all of it is one stanza (REQ-105)."""
_WHICH = tr("Your vote")


async def vote(talk: Dialogue) -> None:
    """The command ``vote``, on the newest poll of a chat or a group."""
    answers: Mapping[str, str] = {}
    title = tr("Vote")
    if talk.target is None:
        instructions = tr("The newest poll of a chat or a group.")
        answers = await talk.ask(
            Form(title=title, instructions=instructions, fields=(which_conversation(),))
        )
    meant = meant_by(talk, answers)
    if meant is None:
        return
    account = talk.account
    poll = await talk.wait(talk.network.poll(account, meant.conversation))
    if poll is None:
        none = tr("No poll goes on in “{name}” that the gateway knows of.", name=meant.name)
        talk.say(none, Note.ERROR)
        return
    form = Form(title=title, instructions=_asked(poll), fields=(_field(poll),), last=True)
    chosen, wrong = tuple[int, ...](), ""
    while not chosen:
        said = await talk.ask(form, wrong=wrong)
        chosen = _places(poll, said["vote"])
        wrong = tr("These are not numbers of answers, or too many.")
    await talk.wait(talk.network.vote(account, poll, chosen))
    names = ", ".join(one_line(poll.answers[place], _CHARS) for place in chosen)
    talk.say(tr("You have voted for: {names}", names=names))


def _asked(poll: Poll) -> str:
    """The question, and the answers where they are not a list to choose from."""
    question = one_line(poll.question, _CHARS) or tr("A poll without a question")
    if poll.most == 1:
        return question
    told = (f"{number}: {one_line(each, _CHARS)}" for number, each in enumerate(poll.answers, 1))
    return joined([question, *told], "\n")


def _field(poll: Poll) -> Field:
    """One of them is chosen from a list; several are typed, as the chat has no other way."""
    before = " ".join(str(place + 1) for place in poll.chosen)
    if poll.most > 1:
        hint = tr("Numbers, {most} at the most.", most=str(poll.most))
        return Field(name="vote", label=_WHICH, hint=hint, default=before)
    told = enumerate(poll.answers, 1)
    options = tuple(Option(str(number), one_line(answer, _CHARS)) for number, answer in told)
    return Field(name="vote", label=_WHICH, kind=Kind.CHOICE, options=options, default=before)


def _places(poll: Poll, said: str) -> tuple[int, ...]:
    """Those of the answers with these numbers; none if one of them is wrong."""
    numbers = {str(number): number - 1 for number in range(1, len(poll.answers) + 1)}
    typed = dict.fromkeys(said.replace(",", " ").split())
    if len(typed) > poll.most or not all(each in numbers for each in typed):
        return ()
    return tuple(numbers[each] for each in typed)
