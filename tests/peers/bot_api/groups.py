# SPDX-License-Identifier: Apache-2.0
"""What happens in groups besides messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .accounts import Bot, User
from .chats import BASIC_RIGHTS, Group, Member
from .messages import Message
from .world import World

Json = dict[str, Any]


class Groups:
    """Groups, and what people do to them in their apps."""

    def __init__(self, world: World) -> None:
        """There are none yet."""
        self._world = world

    def create(self, title: str, owner: User, *others: User, **more: Any) -> Group:
        """Make a group, a supergroup if `is_super` or `is_forum`."""
        is_forum = more.get("is_forum", False)
        group = self._world.add_group(
            title, is_super=more.get("is_super", False) or is_forum, is_forum=is_forum
        )
        group.members[owner.id] = Member(owner, "creator")
        for each in others:
            self.add(group, each, by=owner)
        return group

    def add(self, group: Group, user: User, *, by: User | None = None) -> Message:
        """Somebody comes, by themselves or because somebody wants them there."""
        reads_all = not isinstance(user, Bot) or user.reads_all
        new = Member(user, reads_all=reads_all)
        self._world.change_member(group, group.member(user), new, by or user)
        return self._world.post(group, by or user, {"new_chat_members": [user.json()]})

    def remove(self, group: Group, user: User, *, by: User | None = None) -> Message:
        """Somebody goes, or is thrown out and may not come back."""
        new = Member(user, "left" if by in (None, user) else "kicked")
        by = by or user
        self._world.change_member(group, group.member(user), new, by)
        message = self._world.post(group, by, {"left_chat_member": user.json()})
        if isinstance(user, Bot):  # the last that it hears
            user.updates.add("message", message.json())
        return message

    def promote(self, group: Group, user: User, *rights: str, title: str = "") -> None:
        """The owner makes somebody an administrator with these rights; in a basic group with those
        that all of them have."""
        old, owner = group.member(user), self._owner(group)
        given = {"can_manage_chat", *rights} if group.is_super else set(BASIC_RIGHTS)
        new = Member(user, "administrator", title, given, old.reads_all, promoted_by=owner)
        self._world.change_member(group, old, new, owner)

    def hide(self, group: Group, user: User) -> None:
        """An administrator is seen no more; what they say is said by the group."""
        old = group.member(user)
        assert old.is_admin, "members cannot hide"
        self._world.change_member(group, old, replace(old, is_anonymous=True), user)

    def demote(self, group: Group, user: User) -> None:
        """The owner takes the rights of an administrator away."""
        old = group.member(user)
        new = Member(user, reads_all=old.reads_all)
        self._world.change_member(group, old, new, self._owner(group))

    def restrict(self, group: Group, user: User) -> None:
        """The owner lets somebody stay who may say nothing."""
        old = group.member(user)
        new = Member(user, "restricted", reads_all=old.reads_all)
        self._world.change_member(group, old, new, self._owner(group))

    def rename(self, group: Group, title: str) -> Message:
        """The owner gives it another name."""
        group.title = title
        return self._world.post(group, self._owner(group), {"new_chat_title": title})

    def picture(self, group: Group, data: bytes) -> Message:
        """The owner gives it a picture, or takes it away if there is no data."""
        group.photo = self._world.files.photo(data, sides=(160, 640)) if data else []
        content: Json = {"delete_chat_photo": True}
        if group.photo:
            content = {"new_chat_photo": [size.photo_size() for size in group.photo]}
        return self._world.post(group, self._owner(group), content)

    def unban(self, group: Group, user: User, *, by: User | None = None) -> None:
        """Somebody who is banned may come again."""
        old = group.member(user)
        assert old.status == "kicked", f"{user.name} is not banned"
        self._world.change_member(group, old, Member(user, "left"), by or self._owner(group))

    def open_topic(self, group: Group, name: str, *, by: User | None = None) -> int:
        """Somebody begins a topic in a forum. Returns its id."""
        assert group.is_forum, f"{group.title} is no forum"
        topic = group.next_message_id
        group.topics[topic] = name
        content = {"forum_topic_created": {"name": name, "icon_color": 7322096}}
        self._world.post(group, by or self._owner(group), content, thread_id=topic)
        return topic

    def rename_topic(self, group: Group, topic: int, name: str) -> None:
        """The owner gives a topic another name."""
        group.topics[topic] = name
        content = {"forum_topic_edited": {"name": name}}
        self._world.post(group, self._owner(group), content, thread_id=topic)

    def close_topic(self, group: Group, topic: int | None, *, again: bool = False) -> None:
        """The owner closes a topic for others, or opens it `again`. None is the general one."""
        (group.closed_topics.discard if again else group.closed_topics.add)(topic)
        content: Json = {f"forum_topic_{'reopened' if again else 'closed'}": {}}
        self._world.post(group, self._owner(group), content, thread_id=topic)

    def hide_general(self, group: Group, *, again: bool = False) -> None:
        """The owner hides the general topic, which closes it, or shows it `again`."""
        (group.closed_topics.discard if again else group.closed_topics.add)(None)
        content: Json = {f"general_forum_topic_{'unhidden' if again else 'hidden'}": {}}
        self._world.post(group, self._owner(group), content)

    def rename_general(self, group: Group, name: str) -> None:
        """The owner gives the general topic another name."""
        content = {"forum_topic_edited": {"name": name}}
        self._world.post(group, self._owner(group), content)

    def delete_topic(self, group: Group, topic: int) -> None:
        """The owner deletes a topic with all that is in it. Bots are not told."""
        del group.topics[topic]
        for message in list(group.messages.values()):
            if message.thread_id == topic:
                del group.messages[message.id]

    def pin(self, message: Message, *, by: User | None = None) -> None:
        """Somebody puts a message above all others."""
        assert isinstance(message.chat, Group)
        content = {"pinned_message": message.json(with_reply=False)}
        who = by or self._owner(message.chat)
        self._world.post(message.chat, who, content, thread_id=message.thread_id)

    def upgrade(self, group: Group) -> Group:
        """A group becomes a supergroup, which has another id and begins without messages."""
        owner = self._owner(group)
        new = self._world.add_group(group.title, is_super=True)
        new.members.update(group.members)
        self._world.post(group, owner, {"migrate_to_chat_id": new.id})
        group.became = new
        self._world.post(new, owner, {"migrate_from_chat_id": group.id})
        return new

    @staticmethod
    def _owner(group: Group) -> User:
        (owner,) = (each.user for each in group.members.values() if each.status == "creator")
        return owner
