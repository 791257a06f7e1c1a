# SPDX-License-Identifier: Apache-2.0
"""Every sentence for users is marked, in each catalogue, and said in each language (REQ-130)."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway import locale
from gateway.bridge.accounts.languages import told_in
from gateway.errors import NotFound
from gateway.events import Notice
from gateway.ids import StanzaId
from gateway.locale import chosen, in_any_language, in_language, languages, said_in, spoken
from gateway.locale.messages import KEYWORDS, catalogue, sentences
from gateway.text.wording import Words, ended, joined, plain, tr, trc, trn
from gateway.xmpp.console.commands import BY_WORD, COMMANDS
from gateway.xmpp.console.model import Field, Form

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / "gateway", *sorted((ROOT / "adapters").glob("*/")), ROOT / "tests/scripted"]
PACKAGES = [package for package in PACKAGES if (package / "__init__.py").exists()]
TRANSLATED = [language for language in languages() if language != "en"]


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
class TestCatalogues:
    """Of what the code says now."""

    def test_req_130_all_sentences_are_there_and_no_others(
        self, package: Path, language: str
    ) -> None:
        marked = {(each.context, _id(each.id)) for each in sentences(package) if each.id}
        stored = {(each.context, _id(each.id)) for each in catalogue(package, language) if each.id}
        assert sorted(map(str, marked - stored)) == [], "run: make messages"
        assert sorted(map(str, stored - marked)) == [], "nobody says these any more: make messages"

    def test_req_130_all_are_translated(self, package: Path, language: str) -> None:
        missing = [
            each.id
            for each in catalogue(package, language)
            if each.id and (each.fuzzy or not all(_strings(each.string)))
        ]
        assert missing == []

    def test_req_130_placeholders_are_the_same(self, package: Path, language: str) -> None:
        for each in catalogue(package, language):
            if each.id:
                wanted = _placeholders(_strings(each.id)[-1])
                assert {_placeholders(text) for text in _strings(each.string)} == {wanted}, each.id

    def test_quotes_and_dots_are_those_of_the_language(self, package: Path, language: str) -> None:
        for each in catalogue(package, language):
            for text in _strings(each.string) if each.id else ():
                assert '"' not in text, text
                assert "..." not in text, text
                if language == "de":
                    assert text.count("„") == text.count("“"), text
                    assert "”" not in text, text


def _id(message: object) -> object:
    return tuple(message) if isinstance(message, list | tuple) else message


def _strings(texts: object) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts)  # type: ignore[arg-type]


def _placeholders(text: str) -> frozenset[str | None]:
    found = string.Formatter().parse(text)
    return frozenset(f"{name}:{spec}" for _, name, spec, _ in found if name is not None)


# --- nothing is said that is not marked -------------------------------------------------------

_ARGUMENTS = {
    "Declined": 1,
    "GatewayNotice": None,
    "LinkState": None,
    "Notice": None,
    "Refused": 1,
    "_Refused": 0,
    "_refused": 2,
    "_refuse": 2,
    "refuse": 1,
    "refuse_join": 2,
    "said": 0,
    "say": 0,
    "in_words": 0,
    "tell": 1,
    "AccountGone": 0,
    "AuthExpired": 0,
    "BadAnswer": 0,
    "BadLogin": 0,
    "Banned": 0,
    "Forbidden": 0,
    "Knocked": 0,
    "NotFound": 0,
    "RateLimited": 0,
    "SettingRefused": 0,
    "TooLarge": 0,
    "Transient": 0,
    "Uncertain": 0,
    "Unsupported": 0,
}
"""Where something goes to a user: the place of the argument that is the text."""
_NAMED = frozenset({"label", "title", "hint", "instructions", "summary", "explanation", "text"})
"""The same where it has a name, in calls of these:"""
_NAMING = frozenset(
    {
        "Choice",
        "Command",
        "Field",
        "_Field",
        "Form",
        "GatewayNotice",
        "LoginField",
        "LoginOption",
        "LoginStep",
        "Notice",
        "Option",
        "Table",
        "_about",
        "said",
    }
)
_IS_WORDS = re.compile("[A-Za-z]{2}")
_TALKING = [
    path
    for folder in ("gateway/bridge", "gateway/xmpp", "gateway/web", "gateway/adapter", "adapters")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def unmarked(path: Path, source: str) -> Iterator[str]:
    """Literals that are handed to a user as they are."""
    tree = ast.parse(source)
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = [
        literal
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for text in _texts(node)
        for literal in _literals(text, named)
    ]
    for literal in [*found, *_in_markup(tree), *_marks_lost(tree, named)]:
        yield f"{path.name}:{literal.lineno}: {ast.unparse(literal)}"


_IN_MARKUP = re.compile("<(?:title|desc|instructions|prompt)>[A-Za-z]|label='[A-Za-z]").search
"""A text that stands in XML."""


def _in_markup(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and _IN_MARKUP(node.value)
        ):
            yield node


def _marks_lost(tree: ast.Module, named: dict[str, ast.expr]) -> Iterator[ast.expr]:
    """Sentences in f-strings, of which nobody knows any more what they were."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue):
            value = named.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
            if isinstance(value, ast.Call) and getattr(value.func, "id", "") in KEYWORDS:
                yield node.value


def _texts(call: ast.Call) -> Iterator[ast.expr]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    place = _ARGUMENTS.get(name)
    if place is not None and len(call.args) > place:
        yield call.args[place]
        if name == "say" and len(call.args) > 1:  # to whom, and what
            yield call.args[1]
    if name in _NAMING:
        yield from (each.value for each in call.keywords if each.arg in _NAMED)


def _literals(text: ast.expr, named: dict[str, ast.expr]) -> Iterator[ast.expr]:
    if isinstance(text, ast.Name):
        text = named.get(text.id, text)
    if isinstance(text, ast.IfExp):
        yield from _literals(text.body, named)
        yield from _literals(text.orelse, named)
    elif isinstance(text, ast.BinOp):
        yield from _literals(text.left, named)
        yield from _literals(text.right, named)
    elif isinstance(text, ast.JoinedStr) or (
        isinstance(text, ast.Constant)
        and isinstance(text.value, str)
        and _IS_WORDS.search(text.value)
    ):
        yield text


def test_req_130_whatever_goes_to_a_user_is_marked() -> None:
    found = [each for path in _TALKING for each in unmarked(path, path.read_text())]
    assert found == [], 'mark them: tr("…"), see docs/developer/adapters.md'


@pytest.mark.parametrize(
    "source",
    [
        'raise NotFound("There is nobody.")',
        'raise errors.NotFound(f"There is no {name}.")',
        'talk.say("Done." if done else tr("Failed."))',
        '_SAID = "There is nobody."\nraise Refused(errors.ITEM_NOT_FOUND, _SAID)',
        'Field(name="x", label="Name")',
        'Notice(id=sid, text="Gone" + why)',
        'self.say(user, "Hello there.")',
        'said("This is gone.", status=404)',
        'said(tr("This is gone."), title="Sorry")',
        'form = f"<x><title>Search</title>{fields}</x>"',
        """field = f"<field var='q' label='Name'>{nick}</field>\"""",
        '_HOW = tr("Enter a name.")\nform = f"<instructions>{_HOW}</instructions>"',
        "form = f\"<instructions>{tr('Enter a name.')}</instructions>\"",
    ],
)
def test_an_unmarked_sentence_is_seen(source: str) -> None:
    assert list(unmarked(Path("x.py"), source))
    assert not list(unmarked(Path("x.py"), 'raise NotFound(tr("Nobody."))\nsay(user, text)'))


# --- sentences --------------------------------------------------------------------------------


def test_a_sentence_is_the_english_text() -> None:
    said = tr("There is no setting “{name}”.", name="{x}")
    assert said == "There is no setting “{x}”."
    assert in_language(said, "de") == "Es gibt keine Einstellung „{x}“."
    assert str(NotFound(said)) is said
    assert in_language(NotFound(said).text, "de").startswith("Es gibt")
    assert type(in_language(said, "en")) is str
    assert hash(said) == hash("There is no setting “{x}”.")


def test_sentences_within_sentences() -> None:
    inner = tr("The network does not answer.")
    said = joined((tr("{reason} Send “login” to log in again.", reason=inner), "", "42"), "\n")
    assert said == "The network does not answer. Send “login” to log in again.\n42"
    assert in_language(said, "de").splitlines() == [
        "Das Netzwerk antwortet nicht. Sende „anmelden“, um dich neu anzumelden.",
        "42",
    ]
    assert in_language(ended(inner), "de") == "Das Netzwerk antwortet nicht."
    assert in_language(ended(tr("Connected")), "de") == "Verbunden."


def test_the_arguments_may_come_later() -> None:
    later = tr("Not connected: {trouble}")
    assert later == "Not connected: {trouble}"
    assert (
        in_language(later.format(trouble=tr("Cancelled")), "de") == "Nicht verbunden: Abgebrochen"
    )


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [
        (0, "0 waiting messages could be read.", "0 wartende Nachrichten waren lesbar."),
        (1, "1 waiting message could be read.", "1 wartende Nachricht war lesbar."),
        (7, "7 waiting messages could be read.", "7 wartende Nachrichten waren lesbar."),
    ],
)
def test_one_and_several(number: int, english: str, german: str) -> None:
    locale.add(ROOT / "adapters/matrix/locale")
    said = trn(
        "{count} waiting message could be read.", "{count} waiting messages could be read.", number
    )
    assert (said, in_language(said, "de")) == (english, german)


def test_what_is_unknown_is_said_in_english() -> None:
    nobody_says_this = Words("Nobody has ever said {what}.", {"what": "this"})
    assert said_in(nobody_says_this, "de") == ("Nobody has ever said this.", "en")
    assert said_in("What the network says.", "de") == ("What the network says.", "en")
    assert said_in(tr("Connected"), "de") == ("Verbunden", "de")
    assert said_in(tr("Connected"), "tlh") == ("Connected", "en")


def _catalogue(folder: Path, text: str) -> Path:
    folder.mkdir()
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    (folder / "de.po").write_text(head + text)
    return folder


def test_a_wrong_catalogue_of_an_adapter_costs_its_sentence(tmp_path: Path) -> None:
    wrong = 'msgid "Only {who} knows."\nmsgstr "Nur {wer} weiß."\n\nmsgid "Well."\nmsgstr "Gut."\n'
    locale.add(_catalogue(tmp_path / "locale", wrong))
    said = Words("Only {who} knows.", {"who": "Bob"})
    assert said_in(said, "de") == ("Only Bob knows.", "en")
    assert said_in(Words("Well."), "de") == ("Gut.", "de")


def test_a_catalogue_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    folder = _catalogue(tmp_path / "locale", "")
    (folder / "de.po").write_bytes(b'msgid "x"\nmsgstr "\xff\xfe"\n')
    with pytest.raises(Exception, match="codec can't decode"):
        locale.add(folder)
    assert in_language(tr("Connected"), "de") == "Verbunden"


def test_what_is_stored_is_translated_before() -> None:
    sid = StanzaId("1")
    told = told_in(Notice(id=sid, text=tr("Connected")), "de")
    assert told == Notice(id=sid, text="Verbunden", language="de")
    assert told_in(told, "en") == told
    assert type(told.text) is str
    encode = msgspec.msgpack.Encoder(enc_hook=plain).encode
    assert msgspec.msgpack.decode(encode([tr("Connected")])) == ["Connected"]


def test_a_record_is_spoken_as_a_whole() -> None:
    form = Form(
        title=tr("Settings"),
        instructions="",
        fields=(Field(name="x", label=tr("Name of the group")),),
    )
    german = spoken(form, "de")
    assert (german.title, german.fields[0].label) == ("Einstellungen", "Name der Gruppe")
    assert german.fields[0].name == "x"
    assert form.title == "Settings"


# --- languages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("de-Latn-DE-1996", "de"),
        ("en-GB", "en"),
        ("fr", None),
        ("", None),
        ("d", None),
        ("de_DE", None),
        ("de-", None),
        ("de\n", None),
        ("../de", None),
        ("de/../de", None),
        ("d\u0435", None),
        ("de-" + "x" * 100_000, None),
        ("-".join(["de"] * 100_000), None),
        ("de" * 50_000, None),
    ],
)
def test_req_130_which_language_is_meant(tag: str, language: str | None) -> None:
    assert chosen(tag) == language


def test_req_130_commands_are_known_in_all_languages() -> None:
    """English always works, and no word of a language means two things."""
    for name, command in COMMANDS.items():
        assert BY_WORD[name] is command
        for language in languages():
            assert BY_WORD[in_language(command.name, language)] is command
    assert BY_WORD["anmelden"] is COMMANDS["login"]
    words = in_any_language(trc("command", "help")) | in_any_language(trc("command", "cancel"))
    assert words >= {"help", "hilfe", "cancel", "abbrechen"}
    assert not words & BY_WORD.keys()


def test_nothing_is_nothing_in_all_languages() -> None:
    assert said_in(joined([]), "de").text == ""
    assert said_in(tr(""), "de").text == ""
