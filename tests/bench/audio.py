"""The audio that is spoken: 16 kHz, 16 bit, one channel, in messages of a tenth of a second."""

from __future__ import annotations

import math
import struct
from typing import Final

SAMPLE_RATE: Final = 16_000
FRAME_BYTES: Final = 3_200
FRAME_SECONDS: Final = FRAME_BYTES / (2 * SAMPLE_RATE)
PATH: Final = f"/v1/listen?model=nova-3&encoding=linear16&sample_rate={SAMPLE_RATE}&channels=1&interim_results=true"

FRAME: Final = b"".join(struct.pack("<h", round(8_000 * math.sin(2 * math.pi * 440 * n / SAMPLE_RATE))) for n in range(FRAME_BYTES // 2))
"""A tone, so that it is not taken for silence."""
