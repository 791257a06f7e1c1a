"""Converse.js in a headless Chromium: what a person sees of a room, and what they do there."""

import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from aiohttp import web
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, Locator, Page, Route, async_playwright

from .ports import LOOPBACK
from .process import PeerError

_FILES = Path(__file__).parents[2] / ".venv" / "converse"
_LIMIT_MS = 20_000
_WIDTH, _HEIGHT = 1_200, 800
_PAGE = """<!doctype html><html><head><meta charset="utf-8">
<link rel="stylesheet" href="/dist/converse.min.css">
<script type="module" src="/dist/converse.min.js"></script></head>
<body class="converse-fullscreen"></body></html>"""
_START = """async (account) => {
  while (!window.converse) await new Promise(done => setTimeout(done, 20));
  converse.plugins.add("tests", { initialize() {
    window.api = this._converse.api;
    this._converse.api.listen.on("connected", () => { window.isConnected = true; });
  } });
  converse.initialize({
    ...account, authentication: "login", auto_login: true, discover_connection_methods: false,
    view_mode: "fullscreen", whitelisted_plugins: ["tests"], assets_path: "/dist/", i18n: "en",
    play_sounds: false, show_desktop_notifications: "never", loglevel: "warn",
    persistent_store: "sessionStorage", auto_register_muc_nickname: false,
    message_archiving: "always", allow_non_roster_messaging: true,
  });
}"""
_JOIN = "([room, nick]) => { api.rooms.open(room, { nick }, true); }"
_CHAT = "(jid) => { api.chats.open(jid, {}, true); }"
_ARGUMENTS = (
    "--no-sandbox",  # it does not run as root with one
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """A Chromium, and the place from which it loads Converse.js."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._chromium: Chromium
        self._address = ""

    async def __aenter__(self) -> Self:
        program = shutil.which("chromium")
        if program is None or not _FILES.exists():
            raise PeerError("chromium or Converse.js is missing; see scripts/bootstrap peers")
        async with AsyncExitStack() as stack:
            self._address = await _serve(stack)
            playwright = await stack.enter_async_context(async_playwright())
            self._chromium = await playwright.chromium.launch(
                executable_path=program, headless=True, args=_ARGUMENTS
            )
            stack.push_async_callback(self._chromium.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def log_in(self, jid: str, password: str, websocket_url: str) -> "Converse":
        """A page of its own, in which a user is logged in."""
        context = await self._chromium.new_context(
            viewport={"width": _WIDTH, "height": _HEIGHT}, ignore_https_errors=True
        )
        await context.route(lambda url: urlsplit(url).hostname != LOOPBACK, _refuse)
        page = await context.new_page()
        page.set_default_timeout(_LIMIT_MS)
        await page.goto(self._address)
        account = {"jid": jid, "password": password, "websocket_url": websocket_url}
        await page.evaluate(_START, account)
        await page.wait_for_function("() => window.isConnected")
        return Converse(context, page)

    async def phone(self) -> Page:
        """An empty page as small as that of a phone, without scripts, on a visitor's first day.

        Certificates of authorities that nobody knows will do.
        """
        context = await self._chromium.new_context(
            viewport={"width": 360, "height": 740},
            java_script_enabled=False,
            ignore_https_errors=True,
        )
        await context.route(lambda url: urlsplit(url).hostname != LOOPBACK, _refuse)
        page = await context.new_page()
        page.set_default_timeout(_LIMIT_MS)
        return page


async def _serve(stack: AsyncExitStack) -> str:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_static("/dist", _FILES.resolve())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    return f"http://{LOOPBACK}:{runner.addresses[0][1]}/"


async def _refuse(route: Route) -> None:
    """Nothing is loaded from anywhere else."""
    await route.abort()


def _image(avatar: Locator) -> Locator:
    return avatar.locator("image, img").first


class Converse:
    """One user's page."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self._context = context
        self.page = page

    async def join(self, room: str, nick: str) -> None:
        """Open a room, and wait until one may write there."""
        await self.page.evaluate(_JOIN, [room, nick])
        await self._input().wait_for()

    async def dismiss(self) -> None:
        """Wait for a dialog, such as an invitation, and close it."""
        await self.page.locator('.modal.show [aria-label="Close"]').click()
        await self.page.locator(".modal.show").wait_for(state="detached")

    async def chat(self, jid: str) -> None:
        """Open the chat with somebody."""
        await self.page.evaluate(_CHAT, jid)
        await self._input().wait_for()

    async def title(self) -> str:
        """By which name the open chat is shown."""
        shown = self._room().locator(".chat-head .chatbox-title__text").first
        await shown.wait_for()
        return " ".join((await shown.inner_text()).split())

    def _room(self) -> Locator:
        return self.page.locator("converse-chats .chatbox:not(.hidden)").last

    def _input(self) -> Locator:
        return self._room().locator("textarea.chat-textarea")

    async def say(self, text: str) -> None:
        """Write into the open room."""
        await self._input().click()
        await self._input().fill(text)
        await self.page.keyboard.press("Enter")

    def message(self, text: str) -> Locator:
        """The newest message with this text."""
        said = self.page.locator(".chat-msg__text", has_text=text)
        return self._room().locator(".chat-msg").filter(has=said).last

    async def sees(self, text: str, limit_ms: int = _LIMIT_MS) -> Locator:
        """Wait until a message with this text is shown."""
        found = self.message(text)
        await found.wait_for(state="visible", timeout=limit_ms)
        return found

    async def author_of(self, text: str) -> str:
        """By which nick a message is said. One that follows another of the same shows none."""
        sender = await (await self.sees(text)).get_attribute("data-from")
        return (sender or "").partition("/")[2]

    async def _choose(self, text: str, action: str) -> Locator:
        """An entry of a message's menu."""
        message = await self.sees(text)
        await message.hover()
        await message.locator(".chat-msg__actions .dropdown-toggle").click()
        await message.locator(f".chat-msg__action-{action}").click()
        return message

    async def reply(self, text: str, answer: str) -> None:
        """Answer a message."""
        await self._choose(text, "reply")
        await self.say(answer)

    async def edit(self, text: str, corrected: str) -> None:
        """Correct a message of one's own."""
        await self._choose(text, "edit")
        await self.say(corrected)

    async def retract(self, text: str) -> None:
        """Take a message of one's own back."""
        await self._choose(text, "retract")
        await self.page.locator(".modal.show button[type=submit]").click()

    async def react(self, text: str, emoji: str) -> None:
        """React to a message with one of the emoji that are offered first."""
        message = await self._choose(text, "reaction")
        picker = message.locator("converse-reaction-picker .reaction-item")
        await picker.filter(has_text=emoji).first.click()

    async def sees_reaction(self, text: str, emoji: str) -> None:
        """Wait until a message has a reaction."""
        reactions = (await self.sees(text)).locator("converse-reactions")
        await reactions.get_by_text(emoji).first.wait_for(state="visible")

    async def sees_no_reaction(self, text: str) -> None:
        """Wait until a message has none any more."""
        reactions = (await self.sees(text)).locator("converse-reactions button")
        await reactions.first.wait_for(state="detached")

    async def answered(self, text: str) -> str:
        """What a reply answers, as it is shown above it."""
        context = (await self.sees(text)).locator("converse-reply-context")
        shown = context.locator(".chat-msg__reply-text")
        await shown.wait_for()
        return (await shown.inner_text()).strip()

    async def sees_edited(self, text: str) -> None:
        """Wait until a message is shown as one that was corrected."""
        mark = (await self.sees(text)).locator(".chat-msg__edit-modal")
        await mark.first.wait_for()

    async def sees_retracted(self, count: int = 1) -> None:
        """Wait until so many messages are shown as taken back."""
        gone = self._room().locator(".chat-msg--retracted")
        await gone.nth(count - 1).wait_for()

    async def sees_avatar_of_room(self) -> None:
        """Wait until the room is shown with one."""
        await _image(self._room().locator(".chat-head converse-avatar")).wait_for()

    async def sees_avatar_beside(self, text: str) -> None:
        """Wait until a message is shown with a picture of who says it."""
        await _image((await self.sees(text)).locator("converse-avatar")).wait_for()

    async def sees_avatar_of(self, nick: str) -> None:
        """Wait until somebody in the list beside the room is shown with one."""
        named = self.page.locator(".occupant-nick", has_text=nick)
        listed = self._room().locator("converse-muc-occupant-list-item, li").filter(has=named)
        await _image(listed.first.locator("converse-avatar")).wait_for()

    async def send_file(self, file: Path) -> None:
        """Put a file at the user's server, and send where it is, as by the paper clip."""
        await self._room().locator("input.fileupload").set_input_files(file)

    async def picture_called(self, name: str) -> str:
        """Wait until a picture is shown, as one; returns where it is."""
        shown = self._room().locator(f'.chat-msg img[src*="{name}"]').last
        await shown.wait_for(state="visible")
        await self._until(shown, "image => image.complete && image.naturalWidth > 0")
        return str(await shown.get_attribute("src"))

    async def sound_called(self, name: str) -> str:
        """Wait until there is a player for it that knows how long it takes."""
        players = self._room().locator("converse-audio-player")
        shown = players.filter(has=self.page.locator(f'a[href*="{name}"]')).last
        await shown.wait_for(state="visible")
        await self._until(shown, "player => player.duration > 0")
        return str(await shown.evaluate("player => player.src"))

    async def link_to(self, name: str) -> str:
        """Wait until a message has a link to a file and nothing else; returns where it leads."""
        shown = self._room().locator(f'.chat-msg__text a[href*="{name}"]').last
        await shown.wait_for(state="visible")
        return str(await shown.get_attribute("href"))

    async def _until(self, shown: Locator, condition: str) -> None:
        await self.page.wait_for_function(condition, arg=await shown.element_handle())

    async def occupants(self) -> list[str]:
        """Names in the list beside the room."""
        names = self._room().locator(".occupant-nick")
        await names.first.wait_for()
        return [" ".join(name.split()) for name in await names.all_inner_texts()]

    async def texts(self) -> list[str]:
        """What is shown as said, from the oldest on."""
        return await self._room().locator(".chat-msg__text").all_inner_texts()

    async def topic(self) -> str:
        """The subject of the room, as it is shown."""
        shown: Any = self._room().locator(".chat-head__desc")
        await shown.first.wait_for()
        return " ".join((await shown.first.inner_text()).split())

    async def picture(self, file: Path) -> None:
        """Save what is to be seen."""
        await self.page.screenshot(path=file)

    async def close(self) -> None:
        """Leave, as if the window were closed."""
        await self._context.close()
