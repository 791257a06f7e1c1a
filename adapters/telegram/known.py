# SPDX-License-Identifier: Apache-2.0
"""What is remembered of the chats and groups of one bot. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from adapters.telegram.connected import Connected
from adapters.telegram.groups import Groups
from adapters.telegram.naming import Usernames
from adapters.telegram.pictures import Faces
from adapters.telegram.polls import Polls
from adapters.telegram.reactions import Reactions
from adapters.telegram.topics import Topics
from gateway.adapter import AccountContext
from gateway.ids import RemoteUserId


@dataclass(frozen=True, slots=True)
class Known:
    """Of one bot; most of it as its state has it."""

    own: RemoteUserId
    """The bot."""
    faces: Faces
    groups: Groups
    topics: Topics
    polls: Polls
    connected: Connected
    reactions: Reactions
    usernames: Usernames = field(default_factory=Usernames)

    @staticmethod
    def read(account: AccountContext) -> Known:
        """What the state of an account has."""
        own, state = account.remote_id, account.state()
        faces = Faces(state)
        return Known(
            own,
            faces,
            Groups(own, state, faces, is_house=account.is_house),
            Topics(state),
            Polls(state),
            Connected(state, account.clock),
            Reactions(state, partial(account.chat_reactions, theirs=True)),
        )

    def changes(self) -> dict[str, str | None]:
        """Of the state, since this was asked last."""
        return (
            self.faces.changes()
            | self.groups.changes()
            | self.topics.changes()
            | self.polls.changes()
            | self.connected.changes()
            | self.reactions.changes()
        )
