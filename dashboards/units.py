"""Numbers with their units, as Grafana would say them: as many of its units as the dashboards here use."""

from __future__ import annotations

from typing import Final

_SUFFIX: Final = {"cpm": " c/m", "cps": " c/s", "bytes": "B", "Bps": "B/s"}
_TIMES: Final = ((86400.0, " days"), (3600.0, " h"), (60.0, " min"), (1.0, " s"), (1e-3, " ms"), (1e-6, " µs"))


def said(value: float, unit: str, decimals: int | None = None) -> str:
    """decimals: None for as many as three digits need. Raises KeyError for a unit it does not know."""
    if unit == "percentunit":
        return f"{_number(100 * value, decimals)}%"
    if unit == "s":
        size, suffix = next((one for one in _TIMES if abs(value) >= one[0]), (1.0, " s"))
        return _number(value / size, decimals) + suffix
    if unit in ("bytes", "Bps"):
        return _scaled(value, decimals, 1024.0, ("", "Ki", "Mi", "Gi"), " ") + _SUFFIX[unit]
    if unit == "none":
        return _number(value, decimals)
    return _scaled(value, decimals, 1000.0, ("", " K", " Mil", " Bil"), "") + _SUFFIX[unit]


def _scaled(value: float, decimals: int | None, base: float, names: tuple[str, ...], space: str) -> str:
    number = 0
    while abs(value) >= base and number + 1 < len(names):
        value, number = value / base, number + 1
    return _number(value, decimals) + space + names[number]


def _number(value: float, decimals: int | None) -> str:
    return f"{value:.{decimals}f}" if decimals is not None else f"{float(f'{value:.3g}'):.6g}"
