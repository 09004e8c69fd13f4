import pytest

from dashboards.units import said


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "words"),
    [
        (0, "none", None, "0"), (1270, "none", 0, "1270"), (1.2345, "none", None, "1.23"), (25_000, "cpm", None, "25 K c/m"),
        (0.0123, "percentunit", None, "1.23%"), (0.899, "percentunit", 1, "89.9%"),
        (0, "s", None, "0 s"), (0.25, "s", None, "250 ms"), (0.00012, "s", None, "120 µs"), (90, "s", 1, "1.5 min"),
        (7200, "s", None, "2 h"), (172_800, "s", None, "2 days"), (0.5, "bytes", None, "0.5 B"),
        (2048, "bytes", None, "2 KiB"), (3 * 2**30, "Bps", None, "3 GiB/s"),
        (12, "cps", None, "12 c/s"),
    ],
)
def test_numbers_are_said_as_people_say_them(value: float, unit: str, decimals: int | None, words: str) -> None:
    assert said(value, unit, decimals) == words


def test_a_unit_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError):
        said(1, "furlong")
