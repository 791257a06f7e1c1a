"""Linking an account as a person does it: in a chat with the gateway."""

from dataclasses import dataclass

from tests.peers.xmpp_client import ROSTER, Stanza, XmppClient

MASK = "••••••"


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the dialogue."""

    by_user: bool
    text: str


class Talk:
    """One user's chat with the gateway."""

    def __init__(self, client: XmppClient, gateway: str) -> None:
        """Talk to ``gateway`` from ``client``."""
        self.client = client
        self.gateway = gateway
        self.said: list[Said] = []
        self._seen = client.inbox.mark()

    def say(self, text: str, *, shown: str = "") -> None:
        """Say something; the record has ``shown`` instead if that is given."""
        self.said.append(Said(True, shown or text))
        self.client.send_message(self.gateway, text)

    async def hear(self, wanted: str, *, timeout: float = 30) -> str:
        """Wait for a line with these words, after whatever was heard before."""

        while True:
            stanza = await self.client.wait_for(
                self._is_from_gateway, timeout=timeout, since=self._seen
            )
            self._seen = self.client.inbox.items.index(stanza, self._seen) + 1
            self.said.append(Said(False, stanza.body or ""))
            if wanted.lower() in (stanza.body or "").lower():
                return stanza.body or ""

    def _is_from_gateway(self, stanza: Stanza) -> bool:
        return (
            stanza.kind == "message"
            and stanza.sender_bare == self.gateway
            and stanza.body is not None
        )

    async def ask(self, text: str, wanted: str, *, timeout: float = 30) -> str:
        """Say something and wait for the answer."""
        self.say(text)
        return await self.hear(wanted, timeout=timeout)

    async def log_in(
        self, homeserver: str, user: str, password: str, *, begin: str = "login"
    ) -> str:
        """The whole dialogue; returns the gateway's last line."""
        await self.answer_login(homeserver, user, password, begin=begin)
        return await self.hear("You are logged in as")

    async def log_in_again(self, password: str) -> str:
        """The same for an account that is known: only the password is asked for."""
        await self.ask("login", "How do you want to log in?")
        await self.ask("1", "Password?")
        self.say(password, shown=MASK)
        return await self.hear("You are logged in as")

    async def answer_login(
        self, homeserver: str, user: str, password: str, *, begin: str = "login"
    ) -> None:
        """Say “login” and answer the questions."""
        await self.ask(begin, "Homeserver?")
        await self.ask(homeserver, "How do you want to log in?")
        await self.ask("-", "User name?")
        await self.ask(user, "Password?")
        self.say(password, shown=MASK)


async def befriend(client: XmppClient, contact: str) -> None:
    """Add a contact, and let it see the user's presence.

    It asks for that, unless the gateway writes it into the roster itself (XEP-0356) meanwhile.
    """
    listed = (await client.roster()).get(contact)
    if listed is not None and listed.get("subscription") == "both":
        await client.wait_presence(sender=contact)
        return
    mark = client.inbox.mark()

    def is_asked_or_shown(stanza: Stanza) -> bool:
        if stanza.kind == "presence":
            return (stanza.type, stanza.sender_bare) == ("subscribe", contact)
        items = stanza.xml.iterfind(f"{{{ROSTER}}}query/{{{ROSTER}}}item[@subscription='both']")
        return any(item.get("jid") == contact for item in items)

    client.subscribe(contact)
    came = await client.wait_for(is_asked_or_shown, since=mark)
    if came.kind == "presence":
        client.approve(contact)
    await client.wait_presence(sender=contact, since=mark)


async def befriend_gateway(client: XmppClient, gateway: str) -> None:
    """After the login the gateway asks to be a contact: say yes, and add it."""
    await client.wait_presence("subscribe", sender=gateway)
    client.approve(gateway)
    mark = client.inbox.mark()
    client.subscribe(gateway)
    await client.wait_presence("subscribed", sender=gateway, since=mark)
