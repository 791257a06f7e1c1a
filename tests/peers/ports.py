"""Ports for servers that must be told a number before they start."""

import socket

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Ask the kernel for ports that nobody listens on, all different.

    They are bound at the same time and given back together. A server takes its own a moment
    later, so a clash is possible in principle; the kernel hands numbers out at random, which
    makes it rare enough for tests that run side by side.
    """
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def free_port() -> int:
    """Ask the kernel for one port that nobody listens on."""
    return free_ports(1)[0]
