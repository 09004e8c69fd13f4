"""A link that goes down under an open call: the vendor is in a network namespace of its own, and so are the relay and its client.

To be run in a new network namespace as root of it: `unshare --user --map-root-user --net python -m tests.reliability.link`. Prints, as
JSON, what the client saw and what the report said.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from typing import Final

from tests.aio import LOOPS, run
from tests.relay.peers import SWITCHING, Rig, relaying, request, settings
from tests.reliability.rows_ends import AUDIO, RESULT

HERE: Final = "10.77.0.1"
THERE: Final = "10.77.0.2"
PORT: Final = 9000
GIVES_UP: Final = 600
"""Milliseconds after which the kernel is to give up; by itself it would take a quarter of an hour."""

FAULT: Final = "the link to the vendor goes down (two network namespaces), until the kernel gives up (TCP_USER_TIMEOUT shortened)"
CLIENT: Final = "101, FIN"
SAYS: Final = "error transport_timeout network network network"


def shell(command: str) -> None:
    subprocess.run(["sh", "-ec", command], check=True)


def vendor() -> None:
    """In the other namespace: answers 101, hears audio, says a result, and then nothing."""
    print("here", flush=True)
    sys.stdin.readline()
    with socket.create_server((THERE, PORT)) as listener:
        print("listening", flush=True)
        while True:
            peer, _ = listener.accept()
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(4096)
            peer.sendall(SWITCHING)
            peer.recv(len(AUDIO), socket.MSG_WAITALL)
            peer.sendall(RESULT)


async def cut(rig: Rig) -> dict[str, str]:
    client = await rig.call(request())
    head = await client.head()
    await client.send(AUDIO)
    await client.exactly(len(RESULT))
    (call,) = rig.app.relay.calls
    assert call._vendor is not None
    call._vendor.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GIVES_UP)
    await asyncio.to_thread(shell, "ip link set there down")
    await client.send(AUDIO)
    try:
        ended = "FIN" if await client.rest() == b"" else "more bytes"
    except ConnectionResetError:
        ended = "RST"
    verdict = (await rig.report()).verdict
    await asyncio.to_thread(shell, "ip link set there up")
    says = " ".join((verdict.outcome, verdict.code, verdict.owner, verdict.initiated_by, verdict.ended_by))
    return {"client": f"{head[9:12].decode()}, {ended}", "says": says}


async def play() -> dict[str, str]:
    async with relaying(settings(f"http://{THERE}:{PORT}")) as rig:
        return await cut(rig)


def main() -> None:
    command = ["unshare", "--net", sys.executable, "-m", "tests.reliability.link", "vendor"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        try:
            other.stdout.readline()
            shell(f"ip link set lo up; ip link add there type veth peer name here netns {other.pid}; "
                  f"ip address add {HERE}/24 dev there; ip link set there up; "
                  f"nsenter --net=/proc/{other.pid}/ns/net "
                  f"sh -ec 'ip address add {THERE}/24 dev here; ip link set here up; ip link set lo up'")
            other.stdin.write("go\n")
            other.stdin.flush()
            other.stdout.readline()
            print(json.dumps({loop: run(play(), loop) for loop in LOOPS}))
        finally:
            other.kill()


if __name__ == "__main__":
    if sys.argv[1:] == ["vendor"]:
        vendor()
    else:
        main()
