"""Bytes guided by coverage: `python -m tests.fuzz` with any of libFuzzer's arguments (`-max_total_time=60`)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["proxy.core"]):
    from tests.fuzz.target import VENDORS, beginnings, look_at_any


def words(folder: Path) -> Path:
    """What the profiles look for, as libFuzzer's dictionary: kinds, codes and phrases, which no chance would find."""
    found = set()
    for vendor in VENDORS.values():
        for endpoint in vendor.profile.endpoints.values():
            found |= endpoint.server.kinds.keys() | endpoint.client.kinds.keys()
        for rule in vendor.profile.rules:
            for when in rule.when:
                found |= {*(when.text or ()), *(when.exact or ()), *(when.server_code or ())}
    path = folder / "words"
    path.write_text("".join(f'"{"".join(f"{chr(92)}x{byte:02x}" for byte in word.encode())}"\n' for word in sorted(found)))
    return path


def main() -> None:
    folder = Path(tempfile.gettempdir(), "earwitness-fuzz")
    corpus = folder / "corpus"  # what was found is there again the next time
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(beginnings()):
        (corpus / f"beginning-{number}").write_bytes(data)
    options = [f"-dict={words(folder)}", "-max_len=600", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *options, *sys.argv[1:], str(corpus)], look_at_any)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
