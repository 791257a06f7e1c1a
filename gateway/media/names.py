# SPDX-License-Identifier: Apache-2.0
"""Names of files, as strangers give them and as they are passed on (REQ-722).

They are for people alone: nothing is stored under them.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote, urlsplit

_MOST_BYTES = 120
_LONGEST_EXTENSION = 16
_LONGEST_READ = 4000
_SEPARATORS = re.compile(
    "[/\\\\\N{DIVISION SLASH}\N{FRACTION SLASH}\N{FULLWIDTH SOLIDUS}\N{FULLWIDTH REVERSE SOLIDUS}]"
)
_RESERVED_SIGNS = re.compile('[<>:"|?*]')
"""By Windows; a name with one of them cannot be saved there."""
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|(?:COM|LPT)[0-9¹²³])\s*(?:\.|$)", re.IGNORECASE
)
_EXTENSION = re.compile(rf"\.[A-Za-z0-9]{{1,{_LONGEST_EXTENSION}}}$")
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
"""Parts of words and emoji, which turn nothing round."""
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_ACTIVE_ENDINGS = frozenset(
    (
        *("htm", "html", "shtml", "xht", "xhtml", "mht", "mhtml", "hta", "xml", "xsl", "xslt"),
        *("svg", "svgz", "js", "mjs", "swf"),
    )
)
_NOT_IN_FALLBACK = re.compile("[^ -~]|[%;]")
"""Besides quotes, which no safe name has."""


def safe_name(given: str, default: str = "file") -> str:
    """What of a name is a name: at most 120 bytes, on one line, of the last part of a path.

    ``default`` if nothing is left; it should have an extension that fits the type.
    """
    name = _SEPARATORS.split(given[-_LONGEST_READ:])[-1]
    name = unicodedata.normalize("NFC", "".join(filter(_is_seen, name)))
    name = _RESERVED_SIGNS.sub("_", re.sub(r"\s+", " ", name))
    name = name.strip(". ")
    name = _cut(f"_{name}" if _DEVICE.match(name) else name)
    return name if name.strip(_JOINERS + " ._") else default


def name_in(url: str) -> str:
    """What a URL says that the file is called; empty if it says nothing."""
    try:
        last = urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return ""
    return safe_name(unquote(last), "")


def disposition(name: str, *, is_shown: bool) -> str:
    """A ``Content-Disposition`` (RFC 6266): shown by a browser, or saved. Of any name."""
    name = safe_name(name)
    plain = _NOT_IN_FALLBACK.sub("_", name)
    said = f'{"inline" if is_shown else "attachment"}; filename="{plain}"'
    return said if plain == name else f"{said}; filename*=UTF-8''{quote(name, safe='')}"


def _is_seen(sign: str) -> bool:
    if sign in _JOINERS or sign.isspace():
        return True
    is_none = ord(sign) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(sign) <= 0xFDEF
    return not is_none and unicodedata.category(sign) not in _UNSEEN


def _cut(name: str) -> str:
    """To 120 bytes, with the extension."""
    if len(name.encode()) <= _MOST_BYTES:
        return name
    found = _EXTENSION.search(name)
    extension = found[0] if found else ""
    stem = name.removesuffix(extension).encode()[: _MOST_BYTES - len(extension)]
    return stem.decode(errors="ignore").rstrip(f" .{_JOINERS}") + extension


def harmless_name(name: str) -> str:
    """A name by which no server takes a file for something that runs in a browser (REQ-723): some
    tell browsers what a file is by its ending alone, as ejabberd's mod_http_upload."""
    ending = name.rpartition(".")[2].lower()
    return f"{name}.bin" if ending in _ACTIVE_ENDINGS else name
