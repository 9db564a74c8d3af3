"""The size of a site follows from measured figures, and docs/sizing.md is current."""

from __future__ import annotations

import pytest

from infra.site.sizing import PAGE, Load, page, table


def test_sizing_page_is_current() -> None:
    text = PAGE.read_text()
    assert table() in text
    assert text == page(text), "run: python -m infra.site.sizing"


def test_rows_of_one_job_follow_settings() -> None:
    load = Load(nodes=1, jobs_a_node=1, gpu_node_share=1, gpus_a_node=2, job_hours=24)
    rows = load.rows()
    assert rows["metric_samples"] == pytest.approx(8 * 8640)
    assert rows["gpu_samples"] == pytest.approx(2 * 8 * 8640)
    assert rows["metric_rollups"] == pytest.approx(400 * (288 + 24))
    assert rows["gpu_rollups"] == pytest.approx(2 * 400 * (288 + 24))
    assert rows["jobs"] == pytest.approx(365)
    assert load.gigabytes()["metric_samples"] == pytest.approx(8 * 8640 * 191 / 1e9)


def test_instance_grows_with_load_until_none_fits() -> None:
    assert Load(nodes=100).instance() == "db.t4g.small"
    assert Load(nodes=5000).instance() == "db.m7g.xlarge"
    with pytest.raises(ValueError, match="several sites"):
        Load(nodes=1_000_000).instance()
