"""The thin shell: sockets, and the only imports of aiohttp.

    aiohttp reads the request's head -> takeover -> flow: dial, answer -> splice: bytes cross -> report

aiohttp serves and dials; once a head is read either way, the transport leaves it (takeover.py, the one file that knows
aiohttp's insides) and belongs to our own protocols (splice.py).
"""

from proxy.relay import imported  # noqa: F401  # before any module here that imports aiohttp
