"""A vendor of its own for the tests of settings: small, complete, and none of the packaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

ACME = """\
vendor: acme
title: Acme
port: 8199
sources: {docs: https://docs.example.com}
routes:
  - {path: /v1, name: live, endpoint: v1, upstream: "https://api.example.com"}
  - {path: /v2, name: next, endpoint: v1, upstream: "https://next.example.com"}
endpoints:
  v1:
    ready: handshake
    audio: {encoding: {default: linear16}, sample_rate: {query: rate}, formats: {linear16: pcm_s16le}}
rules:
  - id: too-fast
    code: too_fast
    category: audio_pacing
    hint: Slow down.
    when: {close_code: 4000, text: too fast}
    sources: docs
    examples: [{close_code: 4000, close_reason: Too fast!}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the profile of `acme`, and the packaged vendors out of the way of what the tests say."""
    (tmp_path / "acme.yaml").write_text(ACME)
    return tmp_path
