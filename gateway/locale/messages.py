# SPDX-License-Identifier: Apache-2.0
"""Looks for the sentences of a package, and brings its catalogues up to date.

python -m gateway.locale.messages PACKAGE...      those of folders, which need not be ours
python -m gateway.locale.messages --check PACKAGE...      only says what is to be done
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from gateway.locale import languages

KEYWORDS = {"tr": None, "trn": (1, 2), "trc": ((1, "c"), 2)}
_NEVER = datetime(2026, 1, 1, tzinfo=UTC)
"""Files change when texts do, and at no other time."""


def sentences(package: Path) -> Catalog:
    """All that are marked in a package."""
    found = Catalog(creation_date=_NEVER, revision_date=_NEVER, charset="utf-8")
    marked = extract_from_dir(package, method_map=[("**.py", "python")], keywords=KEYWORDS)
    for file, _, message, comments, context in marked:
        found.add(message, locations=[(file, 1)], auto_comments=comments, context=context)
    return found


def catalogue(package: Path, language: str) -> Catalog:
    """A catalogue as it is stored; an empty one if there is none."""
    file = _file(package, language)
    if not file.exists():
        return Catalog(locale=language, creation_date=_NEVER, revision_date=_NEVER, fuzzy=False)
    with file.open("rb") as source:
        return read_po(source, locale=language)


def updated(package: Path, language: str) -> bytes:
    """A catalogue with the sentences that there are now: new ones stand there untranslated."""
    stored = catalogue(package, language)
    stored.update(sentences(package), no_fuzzy_matching=True)
    stored.obsolete.clear()
    stored.header_comment = f"# {language}: what {package.name} says to its users."
    stored.project, stored.version, stored.fuzzy = package.name, "1", False
    stored.msgid_bugs_address = stored.last_translator = stored.language_team = "Dragoman"
    stored.creation_date = stored.revision_date = _NEVER
    written = BytesIO()
    write_po(written, stored, width=100, sort_output=True, include_lineno=False)
    return written.getvalue()


def _file(package: Path, language: str) -> Path:
    return package / "locale" / f"{language}.po"


def _outdated(packages: Sequence[Path]) -> Iterator[tuple[Path, bytes]]:
    for package in packages:
        for language in languages():
            file = _file(package, language)
            text = updated(package, language)
            if language != "en" and (not file.exists() or file.read_bytes() != text):
                yield file, text


def main(arguments: Sequence[str]) -> int:
    """Bring them up to date, or say which are not."""
    check = "--check" in arguments
    packages = [Path(argument) for argument in arguments if argument != "--check"]
    outdated = list(_outdated(packages))
    for file, text in outdated:
        print(f"{file}: {'is not up to date' if check else 'written'}")  # noqa: T201
        if not check:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(text)
    return 1 if check and outdated else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
