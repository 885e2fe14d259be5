"""Many connections at once, and what they cost the process at the other end."""
import contextlib
import os
import resource
import socket

import pytest

from .plain import RawConnection, split_address

BIND_ADDRESS_NO_PORT = 24  # of Linux: the port is chosen with connect, so that each target may use all of them


@contextlib.contextmanager
def descriptors(count):
    """Lets this process open `count` files more; skips the test where the hard limit forbids it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 1000
    if before[1] != resource.RLIM_INFINITY and before[1] < wanted:
        pytest.skip(f"{wanted} open files are needed, and the hard limit is {before[1]}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], wanted), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def connect_from(address, number):
    """A connection from one of many addresses of this machine: one alone has too few ports for a test after the other."""
    raw = RawConnection.__new__(RawConnection)
    raw.socket = socket.socket()
    raw.pending = b""
    try:
        raw.socket.settimeout(90)
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.socket.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
        raw.socket.bind((f"127.0.0.{2 + number % 8}", 0))
        raw.socket.connect(split_address(address))
    except OSError:
        raw.socket.close()
        raise
    return raw


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def accepted(address):
    """How many connections a server on this IPv4 address has taken and not closed yet."""
    return _sockets(address, 1)


def connected(address):
    """How many connections to this address their openers have not closed yet."""
    return _sockets(address, 2)


def _sockets(address, column):
    """Those that a process holds have an inode; what waits in a queue, and what is only remembered, has none."""
    host, port = split_address(address)
    wanted = f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file]
    listening = "0A"
    return sum(row[column] == wanted and row[3] != listening and row[9] != "0" for row in rows[1:])


def private_bytes(pid):
    """Memory that is the process's own: not its program, and not what others share."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        rows = [line.split() for line in file]
    return sum(int(row[1]) * 1024 for row in rows if row[0] in ("Private_Dirty:", "Swap:"))


def open_connections(instance):
    """As the gateway counts them; it tells once a second."""
    return sum(value for (name, _), value in instance.metrics().items() if name == "weir_open_connections")
