from pathlib import Path

import pytest

from dashboards.prometheus import Prometheus, scraping


@pytest.mark.parametrize(("interval", "step", "rate"), [(1, 5, "6s"), (15, 15, "60s"), (15, 120, "135s")])
def test_a_rate_interval_is_what_grafana_makes_it(interval: int, step: int, rate: str) -> None:
    expr = Prometheus("", interval).filled("rate(x[$__rate_interval]) + increase(x[$__range])", 600, step, {})
    assert expr == f"rate(x[{rate}]) + increase(x[600s])"


def test_variables_stand_for_what_was_chosen_or_for_all() -> None:
    expr = Prometheus("", 1).filled('x{job=~"$job",vendor=~"$vendor"}', 600, 5, {"vendor": "deepgram"})
    assert expr == 'x{job=~".+",vendor=~"deepgram"}'


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(RuntimeError, match="not a directory"), scraping("127.0.0.1:1", tmp_path):
        pass


def test_where_it_is_not_installed_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Debian"), scraping("127.0.0.1:1", tmp_path):
        pass
