"""Bytes guided by coverage, for each target of targets.py.

    python -m tests.fuzz all SECONDS                    one after the other, each for its share
    python -m tests.fuzz TARGET [ARGUMENTS]             one, with any of libFuzzer's arguments, or a file to try again

What is found lies in the system's folder for temporary files, under earwitness-fuzz/TARGET, and is there again the next time.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["proxy.core", "proxy.settings", "proxy.relay.heads"]):
    from tests.fuzz.target import VENDORS, beginnings
    from tests.fuzz.targets import CORPUS, TARGETS

FIELDS: Final = ("Host", "Content-Length", "Transfer-Encoding", "chunked", "Connection", "Upgrade", "websocket", "\r\n", "HTTP/1.1",
                 "%2e%2e", ";")
KEYS: Final = ("listeners", "vendor", "listen", "upstream", "allow", "clients", "policy", "rules", "routes", "endpoints", "kinds", "when",
               "examples", "&a", "*a", "!!", "<<", "---", "{", "}", "[", "]")


def words(folder: Path) -> Path:
    """What is looked for, as libFuzzer's dictionary: kinds, codes and phrases of the profiles, which no chance would find."""
    found = {*FIELDS, *KEYS}
    for vendor in VENDORS.values():
        for endpoint in vendor.profile.endpoints.values():
            found |= endpoint.server.kinds.keys() | endpoint.client.kinds.keys()
        for rule in vendor.profile.rules:
            for when in rule.when:
                found |= {*(when.text or ()), *(when.exact or ()), *(when.server_code or ())}
    path = folder / "words"
    path.write_text("".join(f'"{"".join(f"{chr(92)}x{byte:02x}" for byte in word.encode())}"\n' for word in sorted(found)))
    return path


def fuzz(name: str, arguments: list[str]) -> None:
    """Does not return: libFuzzer ends the process."""
    folder = Path(tempfile.gettempdir(), "earwitness-fuzz", name)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    if name == "call":
        for number, data in enumerate(beginnings()):
            (corpus / f"beginning-{number}").write_bytes(data)
    options = [f"-dict={words(folder)}", "-max_len=600", "-timeout=5", f"-artifact_prefix={folder}/"]
    files = [] if any(not argument.startswith("-") for argument in arguments) else [str(corpus), str(CORPUS / name)]
    atheris.Setup([sys.argv[0], *options, *arguments, *files], TARGETS[name])
    atheris.Fuzz()


def every(seconds: int) -> int:
    """The number of targets in which something was found."""
    found = []
    for name in TARGETS:
        print(f"== {name}", flush=True)
        share = f"-max_total_time={max(1, seconds // len(TARGETS))}"
        done = subprocess.run([sys.executable, "-m", "tests.fuzz", name, share, "-verbosity=0", "-print_final_stats=1"], check=False)
        if done.returncode:
            found.append(name)
    print(f"found something in: {', '.join(found) or 'none'}", flush=True)
    return len(found)


if __name__ == "__main__":
    if sys.argv[1] == "all":
        sys.exit(every(int(sys.argv[2])))
    fuzz(sys.argv[1], sys.argv[2:])
