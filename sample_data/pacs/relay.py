"""Run as a script in a network namespace: a program there, reached through a socket that was opened outside of it.

``relay.py LISTENING FOLDER PORT PROGRAM ...``: ``LISTENING`` is the inherited socket's descriptor, ``PORT`` where the
program listens inside. All ends when standard input does; ``FOLDER`` then goes, unless the last words were "keep".
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import socket
import struct
import sys
from asyncio.subprocess import DEVNULL

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_CHUNK = 1 << 16


def main(listening: int, folder: str, port: int, program: list[str]) -> None:
    """Run the program and relay to it until standard input ends, or the program."""
    _loopback_up()
    if asyncio.run(_relayed(socket.socket(fileno=listening), port, program)) != b"keep":
        shutil.rmtree(folder, ignore_errors=True)


def _loopback_up() -> None:
    with socket.socket() as any_socket:
        name = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, name))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


async def _relayed(listening: socket.socket, port: int, program: list[str]) -> bytes:
    """Return the last words of standard input."""

    async def pass_on(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):  # it does not listen yet; all ends
            server, to_server = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_copied(client, to_server), _copied(server, to_client))
            to_server.close()
        to_client.close()

    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    # killed with this process, however that ends
    running = await asyncio.create_subprocess_exec("setpriv", "--pdeathsig", "KILL", *program, stdin=DEVNULL)
    server = await asyncio.start_server(pass_on, sock=listening)
    last_words, ended = asyncio.create_task(words.read()), asyncio.create_task(running.wait())
    await asyncio.wait([last_words, ended], return_when=asyncio.FIRST_COMPLETED)
    server.close()
    with contextlib.suppress(ProcessLookupError):
        running.kill()
    await ended
    return last_words.result() if last_words.done() else b""


async def _copied(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(_CHUNK):
            target.write(chunk)
            await target.drain()
        target.write_eof()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:])
