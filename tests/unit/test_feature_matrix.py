# SPDX-License-Identifier: Apache-2.0
"""What the documents claim has a test, and every test that they name is there.

Checked: the feature matrix of the README, the status table of the requirements, and ``doap.xml``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.adapter import Capabilities
from gateway.xmpp import disco, usersearch
from gateway.xmpp.rooms.searching import SEARCH
from gateway.xmpp.rooms.stanzas import MUC

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
REQUIREMENTS = ROOT / "docs/developer/requirements.md"
DOAP = ROOT / "doap.xml"
_XMPP = "{https://linkmauve.fr/ns/xmpp-doap#}"
_RESOURCE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"

_NAMED = re.compile(r"tests/[\w./-]+(?:::\w+)*")
"""A test as documents name it: a path and, for one of several in a file, ``::`` and its name."""

XEPS_OF_FEATURES = {
    disco.INFO: "0030",
    disco.ITEMS: "0030",
    disco.COMMANDS: "0050",
    "http://jabber.org/protocol/chatstates": "0085",
    "http://jabber.org/protocol/pubsub": "0060",
    "http://jabber.org/protocol/pubsub#retrieve-items": "0060",
    MUC: "0045",
    "jabber:iq:gateway": "0100",
    "jabber:iq:last": "0012",
    "jabber:iq:register": "0077",
    "jabber:iq:search": "0055",
    "jabber:iq:version": "0092",
    "jabber:x:data": "0004",
    "jid\\20escaping": "0106",
    "urn:xmpp:chat-markers:0": "0333",
    "urn:xmpp:ping": "0199",
    "urn:xmpp:receipts": "0184",
    "urn:xmpp:channel-search:0:search": "0433",
    "urn:xmpp:time": "0202",
    "urn:ietf:params:xml:ns:vcard-4.0": "0292",
    "vcard-temp": "0054",
}
"""What service discovery may advertise, and where that is specified."""

XEPS_WITHOUT_FEATURE = {
    "0068": "in forms",
    "0084": "what is published of it is seen in events",
    "0114": "the stream itself",
    "0115": "seen in presence",
    "0128": "the form of 0157",
    "0133": "names of commands",
    "0153": "in presence",
    "0157": "a form in disco#info",
    "0163": "an identity",
    "0172": "in messages, presence and a PEP node",
    "0203": "needs no negotiation",
    "0224": "puppets advertise it, where the network has it",
    "0297": "inside 0356",
    "0308": "rooms advertise it, where the network has it",
    "0334": "needs no negotiation",
    "0356": "the server advertises it to us",
    "0372": "occupants advertise it, where the network has mentions",
    "0424": "rooms advertise it",
    "0425": "rooms advertise it, where the network has it",
    "0428": "rooms advertise it, with 0461",
    "0444": "rooms advertise it, where the network has it",
    "0461": "rooms advertise it, where the network has it",
    "0426": "how places in texts are counted",
    "0486": "rooms advertise vcard-temp, and the hash in a form",
    "0500": "what the rooms of a slow group say of themselves",
    "0511": "needs no negotiation",
    "0513": "as 0372",
    "0359": "origin-id alone; the feature is for those who assign stanza-ids",
    "0490": "in the PEP of users, by 0356",
    "0402": "in the PEP of users, by 0356",
}
"""What is used without being advertised, and why that is right."""


# --- reading the documents ----------------------------------------------------------------------


def section(file: Path, title: str) -> str:
    """What stands below a heading, up to the next one of the same level."""
    text = file.read_text()
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert title in found, f"{file.name} has no section “{title}”"
    return found[title]


def table(text: str) -> list[list[str]]:
    """The rows of the first table, its head included and its rule left out."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len(rows) >= 2, "there is no table"
    assert all(set(cell) <= set("-: ") for cell in rows[1]), "the table has no head"
    return [rows[0], *rows[2:]]


def matrix() -> list[tuple[str, str, str]]:
    """Feature, network and cell of the README's matrix."""
    (_, *networks), *rows = table(section(README, "What works"))
    assert all(len(row) == len(networks) + 1 for row in rows), "a row has too few or many cells"
    return [
        (feature, network, cell)
        for feature, *cells in rows
        for network, cell in zip(networks, cells, strict=True)
    ]


def status() -> list[tuple[str, str, str]]:
    """Requirement, state and tests of the status table."""
    head, *rows = table(section(REQUIREMENTS, "Status"))
    assert head == ["REQ", "state", "proved by"]
    assert all(len(row) == 3 for row in rows), "a row has too few or many cells"
    return [(row[0], row[1], row[2]) for row in rows]


def xeps() -> dict[str, ElementTree.Element]:
    """The XEPs of doap.xml by number."""
    found: dict[str, ElementTree.Element] = {}
    for element in ElementTree.parse(DOAP).iter(f"{_XMPP}SupportedXep"):
        link = element.find(f"{_XMPP}xep")
        assert link is not None
        number = re.fullmatch(
            r"https://xmpp\.org/extensions/xep-(\d{4})\.html", link.attrib[_RESOURCE]
        )
        assert number is not None, link.attrib
        assert number[1] not in found, f"XEP-{number[1]} is listed twice"
        found[number[1]] = element
    return found


# --- tests by name ------------------------------------------------------------------------------


@cache
def functions(file: Path) -> frozenset[str]:
    """The tests of a Python file; those of classes as ``Class::name``."""
    return frozenset(_functions(ast.parse(file.read_text()), ""))


def _functions(node: ast.AST, prefix: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}::")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}"


def fault_of(named: str) -> str | None:
    """Why what a document names is no test, or None if it is one."""
    path, _, name = named.partition("::")
    file = ROOT / path
    if not file.is_file():
        return f"there is no file {path}"
    if file.suffix == ".txt":
        is_script = path.startswith("tests/scenario/scripts/") and not name
        return None if is_script else f"{named} is no scenario"
    if not (file.suffix == ".py" and file.name.startswith("test_")):
        return f"{path} is no file of tests"
    if name and not (name.rpartition("::")[2].startswith("test_") and name in functions(file)):
        return f"{path} has no test {name}"
    return None


def faults_of(text: str) -> list[str]:
    """Why a text does not prove what it should."""
    named = _NAMED.findall(text)
    return [fault for name in named if (fault := fault_of(name)) is not None]


@pytest.mark.parametrize(
    ("named", "fault"),
    [
        ("tests/unit/test_feature_matrix.py", None),
        ("tests/unit/test_feature_matrix.py::test_the_readme_is_short", None),
        ("tests/unit/test_feature_matrix.py::test_nothing", "has no test"),
        ("tests/unit/test_feature_matrix.py::section", "has no test"),
        ("tests/unit/test_gone.py", "no file"),
        ("tests/conftest.py", "no file of tests"),
        ("tests/unit", "no file"),
        ("tests/scenario/scripts/gone.txt", "no file"),
    ],
)
def test_names_are_looked_up(named: str, fault: str | None) -> None:
    found = fault_of(named)
    assert (found is None) == (fault is None)
    assert (fault or "") in (found or "")


# --- the README ---------------------------------------------------------------------------------


def test_every_working_cell_of_the_matrix_names_tests_that_exist() -> None:
    wrong: list[str] = []
    for feature, network, cell in matrix():
        where = f"{feature} on {network}: "
        word = re.match(r"\w*", cell)
        if word is None or word[0] not in ("yes", "partly", "no"):
            wrong.append(f"{where}a cell begins with yes, partly or no")
        elif word[0] != "no" and not _NAMED.search(cell):
            wrong.append(f"{where}works, but no test is named")
        wrong += [f"{where}{fault}" for fault in faults_of(cell)]
    assert not wrong, "\n".join(wrong)


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) < 150


# --- the documentation --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file",
    [README, *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_links_between_documents_lead_somewhere(file: Path) -> None:
    text = re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:\s]*)(#[^)\s]*)?\)", text)
    gone = [link + anchor for link, anchor in links if not _leads(file, link, anchor)]
    assert not gone


def _leads(file: Path, link: str, anchor: str) -> bool:
    target = file.parent / link if link else file
    if not anchor or target.suffix != ".md":
        return target.exists()
    return target.is_file() and anchor[1:] in _anchors(target)


@cache
def _anchors(file: Path) -> frozenset[str]:
    headings = re.findall(r"^#+ (.+)$", file.read_text(), flags=re.MULTILINE)
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
    )


def warnings() -> set[str]:
    """The events that the program logs at warning or above."""
    files = [*(ROOT / "gateway").rglob("*.py"), *(ROOT / "adapters").rglob("*.py")]
    calls = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return {
        str(call.args[0].value)
        for call in calls
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("warning", "error", "exception", "critical")
        and ast.unparse(call.func.value).rpartition(".")[2] in ("log", "_log")
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def test_every_warning_of_the_log_is_explained_to_the_admin() -> None:
    text = (ROOT / "docs/admin/troubleshooting.md").read_text()
    explained = set(re.findall(r"^\| `(\w+)`", text, flags=re.MULTILINE))
    assert warnings() - explained == set()


# --- the requirements ---------------------------------------------------------------------------


def test_every_row_of_the_status_table_names_tests_that_exist() -> None:
    catalogue = set(re.findall(r"\*\*(REQ-\d+) \[", REQUIREMENTS.read_text()))
    wrong: list[str] = []
    for requirement, state, proof in status():
        if requirement not in catalogue:
            wrong.append(f"{requirement} is not in the catalogue")
        if state != "done" and not re.fullmatch(r"partial: .+", state):
            wrong.append(f"{requirement}: a state is “done”, or “partial:” and what is missing")
        if not _NAMED.search(proof):
            wrong.append(f"{requirement}: no test is named")
        wrong += [f"{requirement}: {fault}" for fault in faults_of(proof)]
    assert not wrong, "\n".join(wrong)


def test_the_status_table_is_in_order_and_has_each_requirement_once() -> None:
    numbers = [int(requirement.removeprefix("REQ-")) for requirement, _, _ in status()]
    assert numbers == sorted(set(numbers))


# --- doap.xml -----------------------------------------------------------------------------------


def advertised() -> set[str]:
    """All features of all entities, on a network that can everything."""
    everything = Capabilities(idempotent_send=True, typing=True, read_marks=True)
    entities = (
        disco.gateway_entity(
            "matrix",
            "Matrix",
            {"admin": ["xmpp:admin@example.org"]},
            [MUC, SEARCH, usersearch.SEARCH],
            has_rooms=True,
        ),
        disco.PUPPET_ACCOUNT,
        disco.puppet_client("Matrix", everything),
        disco.COMMAND_LIST,
        disco.command_node("Status"),
    )
    return {feature for entity in entities for feature in entity.features}


def test_doap_lists_what_is_advertised_and_what_is_used() -> None:
    assert advertised() == set(XEPS_OF_FEATURES)
    expected = {XEPS_OF_FEATURES[feature] for feature in advertised()} | set(XEPS_WITHOUT_FEATURE)
    assert set(xeps()) == expected


def test_doap_says_how_much_of_each_xep_there_is() -> None:
    for number, element in xeps().items():
        values = {child.tag.removeprefix(_XMPP): (child.text or "") for child in element}
        assert re.fullmatch(r"[\d.]+(rc\d+)?", values["version"]), number
        assert values["status"] in ("complete", "partial"), number
        if values["status"] == "partial":
            assert values.get("note"), f"XEP-{number} is partial, and nothing says what is missing"


def test_req_601_each_xep_is_that_of_a_requirement_with_tests() -> None:
    tested = {requirement for requirement, _, _ in status()}
    claimed: set[str] = set()
    for line in REQUIREMENTS.read_text().splitlines():
        entry = re.match(r"- \*\*(REQ-\d+) \[", line)
        if entry is not None and entry[1] in tested:
            claimed |= set(re.findall(r"\b(\d{4})\b", line))
    assert set(xeps()) - claimed == set()


def test_req_110_networks_have_the_names_for_which_clients_have_icons() -> None:
    known = {
        *("skype", "mattermost", "facebook", "whatsapp", "sms", "irc", "steam"),
        *("matrix", "discord", "signal", "telegram"),
    }
    ours = {point.name for point in entry_points(group="dragoman.adapters")}
    assert ours & known == {name for name in ours if name != "scripted"}
    entity = disco.gateway_entity("matrix", "My bridge", {}, has_rooms=True)
    assert (entity.identities[0].category, entity.identities[0].type) == ("gateway", "matrix")


def test_tests_that_doap_names_exist() -> None:
    assert not faults_of(DOAP.read_text())
