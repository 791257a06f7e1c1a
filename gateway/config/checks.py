# SPDX-License-Identifier: Apache-2.0
"""Checks that need more than one key.

They look at whatever could be read, so that mistakes elsewhere in the file do not hide them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.config.problems import Place, Problems
from gateway.config.values import Host, Listen

if TYPE_CHECKING:
    from gateway.config.tree import Delivery, Store

Values = Mapping[str, tuple[Any, Place]]
"""What could be read: path of the key → its value and place."""

_LEAST_STUCK_S = 10.0


def check(values: Values, problems: Problems) -> None:
    """Report everything that is wrong between keys."""
    _check_host(values, problems)
    _check_domains(values, problems)
    _check_admins(values, problems)
    _check_limits(values, problems)
    _check_rooms(values, problems)
    _check_stuck_limit(values, problems)
    _check_http(values, problems)
    _check_key_file(values, problems)
    _check_ffmpeg(values, problems)


def _check_host(values: Values, problems: Problems) -> None:
    host, place = values.get("xmpp.server.host", (Host("127.0.0.1"), Place()))
    tunnelled, _ = values.get("xmpp.server.tunnelled", (False, place))
    if not host.is_loopback and not tunnelled:
        problems.add(
            place,
            f"{host} is another machine, and the link to the server is not encrypted; use "
            '127.0.0.1, or protect the link yourself and set "tunnelled: true"',
        )


def _check_domains(values: Values, problems: Problems) -> None:
    taken = dict(_server_domains(values))
    for where, (domain, place) in values.items():
        match where.split("."):
            case ["networks", name, "domain"]:
                if domain in taken:
                    problems.add(
                        place,
                        f"{domain} is already {taken[domain]}; a component needs its own domain",
                    )
                else:
                    taken[domain] = f"the domain of networks.{name}"


def _check_admins(values: Values, problems: Problems) -> None:
    asking = [place for where, (_, place) in values.items() if where.startswith("access.ask[")]
    if asking and not any(where.startswith("access.admins[") for where in values):
        problems.add(asking[0], 'nobody could admit these users: "access.admins" is empty')


def _server_domains(values: Values) -> Iterator[tuple[str, str]]:
    for where, (value, _) in values.items():
        if where.startswith("xmpp.server.local_domains["):
            yield value, "a domain of the server"
    if "xmpp.server.domain" in values:
        yield values["xmpp.server.domain"][0], "the domain of the server"


def _check_limits(values: Values, problems: Problems) -> None:
    if "delivery" not in values:
        return
    delivery: Delivery
    delivery, section = values["delivery"]
    if delivery.attempt_warning >= delivery.attempt_limit:
        problems.add(
            _place_of("attempt_warning", section, values),
            "must be shorter than delivery.attempt_limit",
        )
    if delivery.attempt_limit > delivery.send_limit:
        problems.add(
            _place_of("attempt_limit", section, values),
            "must not be longer than delivery.send_limit",
        )


def _check_rooms(values: Values, problems: Problems) -> None:
    speakers, place = values.get("rooms.shown_speakers", (0, Place()))
    if "rooms" in values and speakers > values["rooms"][0].shown_members:
        problems.add(place, "must not be more than rooms.shown_members")


def _check_stuck_limit(values: Values, problems: Problems) -> None:
    limit, place = values.get("process.stuck_limit", (_LEAST_STUCK_S, Place()))
    if limit < _LEAST_STUCK_S:
        problems.add(place, f"must be at least {_LEAST_STUCK_S:g}s; a busy disk takes seconds")


def _check_http(values: Values, problems: Problems) -> None:
    listen, place = values.get("http.listen", (Listen("127.0.0.1:8087"), Place()))
    tunnelled, _ = values.get("http.tunnelled", (False, place))
    if not listen.host.is_loopback and not tunnelled:
        problems.add(
            place,
            f"{listen.host} can be reached from other machines, and passwords come to it without "
            "encryption; use 127.0.0.1, or protect the way from your web server to it and set "
            '"tunnelled: true"',
        )
    files, place = values.get("http.files_url", ("", place))
    public, _ = values.get("http.public_url", ("", place))
    if files and not public:
        problems.add(place, 'there is nothing at it without "http.public_url"')
    elif files and files.host == public.host:
        problems.add(
            place,
            f"{files.host} is the host of http.public_url; browsers keep files and logins apart "
            "only where each has a host of its own",
        )


def _place_of(key: str, section: Place, values: Values) -> Place:
    """Where a key is, or where its section is if it has its default."""
    default = section.child(key)
    _, place = values.get(default.where, (None, default))
    return place


def _check_ffmpeg(values: Values, problems: Problems) -> None:
    program, place = values.get("media.ffmpeg", ("auto", Place()))
    if not program.startswith("/"):
        return
    for path in (Path(program), Path(program).with_name("ffprobe")):
        if not os.access(path, os.X_OK):
            problems.add(place, f"there is no program {path}; install ffmpeg, which has both")
            return


def _check_key_file(values: Values, problems: Problems) -> None:
    if "store" not in values:
        return
    store: Store
    store, section = values["store"]
    place = _place_of("key_file", section, values)
    try:
        status = store.key_file.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        problems.add(place, f"{store.key_file} cannot be used: {error.strerror}")
        return
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        problems.add(place, f"{store.key_file} is not a file")
    elif mode != 0o600:
        remedy = f"run: chmod 600 {store.key_file}"
        problems.add(place, f"{store.key_file} has mode {mode:04o}, expected 0600; {remedy}")
