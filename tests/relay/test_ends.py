"""What the loops say of an end, in our words."""

import errno
import ssl

from proxy.core.verdict import Transport
from proxy.relay.ends import how_lost


def test_transport_names() -> None:
    assert how_lost(None) is Transport.EOF
    assert how_lost(ConnectionResetError()) is Transport.RESET
    assert how_lost(TimeoutError(110, "timed out")) is Transport.TIMEOUT
    assert how_lost(OSError(errno.EHOSTUNREACH, "no route")) is Transport.TIMEOUT
    assert how_lost(BrokenPipeError()) is Transport.RESET
    assert how_lost(ssl.SSLError(1, "SSLV3_ALERT_BAD_RECORD_MAC")) is Transport.TLS
