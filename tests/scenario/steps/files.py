# SPDX-License-Identifier: Apache-2.0
"""Files that people have put somewhere, and those of the network."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections import deque

from PIL import Image

from tests.recordings import recorded
from tests.scenario.patterns import fill
from tests.scenario.steps.stage import Stage
from tests.scenario.steps.vocabulary import said, step
from tests.scenario.web import Hosted

_BEGINNINGS = {
    "": b"",
    " of m4a": b"\0\0\0\x10ftypM4A \0\0\0\0\0\0\0\0mdat",
    " of mp4": b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\0mdat",
    " of opus": b"OggS\0\2\0\0\0\0\0\0\0\0OpusHead\1\1",
    " of pdf": b"%PDF-1.7\n\xb5\xb5\n",
}
"""By which a file is known to be one."""


def _content(path: str, what: str) -> bytes:
    picture = re.fullmatch(r"a picture (\d+)x(\d+) as (\w+)", what)
    spoken = re.fullmatch(r"a recording of (\d+) s as (\w+)", what)
    if spoken is not None:
        return recorded(spoken[2], int(spoken[1]))
    if picture is None:
        number, _, kind = what.partition(" bytes")
        length, filling = int(number), path.encode()
        return (_BEGINNINGS[kind] + filling * (length // len(filling) + 1))[:length]
    made = io.BytesIO()
    Image.new("RGB", (int(picture[1]), int(picture[2])), "red").save(made, picture[3])
    return made.getvalue()


class FileSteps(Stage):
    """Of files alone."""

    @step("web has (/\\S+) <rest>")
    async def web_has(self, path: str, rest: str) -> None:
        """``a picture 40x30 as JPEG``, ``a recording of 2 s as m4a`` (see `tests.recordings`),
        ``9 bytes`` or ``9 bytes of pdf``; and how it gives it: ``, said to be 10 bytes``,
        ``, breaking off after 10 bytes``, ``, which comes slowly``, ``, as audio/mp4``,
        ``, with status 503``."""
        what, *how = rest.split(", ")
        hosted = self.web.files[path] = Hosted(_content(path, what))
        for each in how:
            number = int("".join(filter(str.isdigit, each)) or 0)
            match each.split(" ")[0]:
                case "said":
                    hosted.claimed = number
                case "breaking":
                    hosted.breaks_at = number
                case "which":
                    hosted.allowed = 0
                case "as":
                    hosted.type = each.removeprefix("as ")
                case "with":
                    hosted.status = number
                case _:
                    raise AssertionError(f"how is {each}?")

    @step("web sends (\\d+ bytes|the rest) of (/\\S+)")
    async def web_sends(self, how_much: str, path: str) -> None:
        more = None if how_much == "the rest" else int(how_much.split(" ")[0])
        self.web.let(path, more)
        await self.clock.settle()

    @step("web was asked for (nothing|/\\S+(?:, /\\S+)*)")
    async def web_was_asked(self, paths: str) -> None:
        """Since the script last looked."""
        await self.clock.settle()
        assert self.web.asked == ([] if paths == "nothing" else paths.split(", ")), self.web.asked
        self.web.asked.clear()

    @step("network got (/\\S+) as <json>")
    async def network_got(self, path: str, facts: str) -> None:
        """With the text that was seen last: this file, byte for byte, and what is said of it."""
        got = self.network.sent[self._seen_texts - 1].file
        assert got is not None, "it has no file"
        data = self.web.files[path].data
        whole = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        assert got == {**json.loads(facts), **whole}, got

    @step("network got (/\\S+) as the voice message <json>")
    async def network_got_voice(self, path: str, facts: str) -> None:
        """Likewise, made by the gateway of this one, with the shape of its sound."""
        got = self.network.sent[self._seen_texts - 1].file
        assert got is not None, "it has no file"
        made = {name: got[name] for name in ("size", "sha256", "waveform")}
        assert got == {**json.loads(facts), **made}, got
        assert made["sha256"] != hashlib.sha256(self.web.files[path].data).hexdigest()
        assert len(made["waveform"]) == 100

    @step("network has the file <text>: <text>")
    async def has_file(self, name: str, content: str) -> None:
        self.network.files[said(name)] = said(content).encode()

    @step("the upload service answers for (\\S+): <rest>")
    async def uploads_answer(self, name: str, doings: str) -> None:
        """See `FakeUploads.doings`, with commas between them."""
        assert self.server.uploads is not None
        self.server.uploads.doings[name] = deque(doings.split(", "))

    @step("the upload service goes on with (\\S+)")
    async def uploads_go_on(self, name: str) -> None:
        """After it was ``held``."""
        assert self.server.uploads is not None
        self.server.uploads.go_on(name)
        await self.clock.settle()

    @step("the upload service answers (\\S+) by (\\S+)")
    async def uploads_answer_as(self, user: str, id: str) -> None:
        """Who was asked in a user's name by the IQ with this id."""
        assert self.server.uploads is not None
        id = fill(id, self.names)
        (wrapped,) = [each for each in self.server.wrapped if each.get("id") == id]
        self.server.send(self.server.uploads.answer_as(wrapped, user))
        await self.clock.settle()

    @step("the upload service was asked by (\\S+)")
    async def uploads_were_asked(self, by: str) -> None:
        """For the last place."""
        assert self.server.uploads is not None
        assert self.server.uploads.askers[-1] == by

    @step("the upload service has (\\S+): <text>")
    async def uploads_have(self, name: str, content: str) -> None:
        assert self.server.uploads is not None
        assert self.server.uploads.files[name] == said(content).encode()
