# SPDX-License-Identifier: Apache-2.0
"""Markup: whatever is not markup is escaped. Pages have no scripts and load nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape

from gateway.locale import ENGLISH
from gateway.text import clean

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #5b6472; --paper: #fff; --edge: #868e9b;
  --ground: #f1f3f6; --go: #1259b3; --wrong: #b3181d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaee; --soft: #a5adb9; --paper: #22262d;
  --edge: #767f8c; --ground: #15181d; --go: #4d94ea; --wrong: #ff8a85; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 1.0625rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 30rem; margin: 0 auto; padding: 1.5rem 1.25rem 2rem; background: var(--paper);
  min-height: 100vh; }
@media (min-width: 34rem) { main { min-height: 0; margin: 3rem auto; border-radius: .75rem; } }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; }
p { margin: 0 0 1rem; }
.whose { border-left: .25rem solid var(--go); padding-left: .75rem; }
.wrong { color: var(--wrong); font-weight: 600; }
.soft { color: var(--soft); font-size: .9375rem; }
label, legend { display: block; font-weight: 600; padding: 0; }
fieldset { border: 0; margin: 0 0 1.25rem; padding: 0; }
.question { margin: 0 0 1.25rem; }
.option { font-weight: 400; padding: .4rem 0; }
.hint { color: var(--soft); font-size: .9375rem; margin: 0 0 .35rem; }
input:not([type=radio]):not([type=checkbox]), select, textarea { width: 100%; font: inherit;
  padding: .65rem .75rem; color: inherit; background: var(--paper); border: 1px solid var(--edge);
  border-radius: .4rem; }
input[type=radio], input[type=checkbox] { width: 1.25rem; height: 1.25rem; margin: 0 .5rem 0 0;
  vertical-align: -.25rem; }
button { font: inherit; font-weight: 600; padding: .7rem 1.25rem; border-radius: .4rem;
  border: 1px solid var(--go); background: var(--go); color: var(--paper); width: 100%;
  margin: 0 0 .75rem; }
button.other { background: none; color: var(--go); }
:focus-visible { outline: .2rem solid var(--go); outline-offset: .15rem; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of every page."""


def text(said: str) -> str:
    """Anything as text, or as the value of an attribute in double quotes."""
    return escape(clean(said))


def tag(name: str, inner: str = "", /, **attributes: str | bool) -> str:
    """An element around ``inner``, which is markup already. True is an attribute without a value,
    False is none; ``_`` in a name is a dash, and one at its end is left out."""
    parts = [name]
    for key, value in attributes.items():
        named = key.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(named)
        elif value is not False:
            parts.append(f'{named}="{text(value)}"')
    opening = f"<{' '.join(parts)}>"
    return opening if name in ("input", "meta") else f"{opening}{inner}</{name}>"


def paragraphs(said: str, **attributes: str | bool) -> str:
    """Text whose lines are paragraphs."""
    return "".join(tag("p", text(line), **attributes) for line in said.splitlines() if line)


def page(title: str, parts: Iterable[str], *, again_s: int = 0, language: str = ENGLISH) -> str:
    """A whole page; ``again_s``: loaded again after so many seconds."""
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", text(title)),
        f"<style>{_STYLE}</style>",
    ]
    if again_s:
        head.append(tag("meta", http_equiv="refresh", content=str(again_s)))
    main = tag("main", tag("h1", text(title)) + "".join(parts))
    inside = tag("head", "".join(head)) + tag("body", main)
    return f"<!doctype html>{tag('html', inside, lang=language)}"
