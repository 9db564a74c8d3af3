"""What the doctor finds about GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.daemon.config import Config
from hpcobs_forwarder.doctor import gpus as checks
from hpcobs_forwarder.node.cgroups.discovery import layouts_in
from hpcobs_forwarder.node.records import Records
from tests.forwarder.test_gpu_mapping import GPUS, gpu
from tests.forwarder.test_gpu_samples import FakeReader
from tests.forwarder.trees import V2Job, record, write

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.doctor.finding import Finding


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> FakeReader:
    """Return the node's only reader, which fails until it gets readings."""
    reader = FakeReader()
    monkeypatch.setattr(checks, "Gpus", lambda *_, **__: [reader])
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("SLURM_CONF", raising=False)
    monkeypatch.setattr("hpcobs_forwarder.node.gpus.slurm_order._SEARCHED", "")
    return reader


def findings(root: Path) -> list[Finding]:
    spool = str(root / "spool")
    config = Config("node", "", "", spool, node="n1", root=str(root))
    records = Records(f"{spool}/jobs")
    records.refresh()
    layouts = [layout for layout in layouts_in(str(root), "n1") if layout.search()]
    return list(checks.examine(config, layouts, records))


def problems(root: Path) -> list[Finding]:
    return [finding for finding in findings(root) if finding.level != "ok"]


def gres(root: Path) -> None:
    write(root / "etc/slurm/gres.conf", "Name=gpu File=/dev/nvidia[0-3]\n")


def test_failing_library_is_reported(tmp_path: Path, reader: FakeReader) -> None:
    assert reader.missing() is None

    (finding,) = problems(tmp_path)

    assert (finding.level, finding.fix) == ("FAIL", "no driver")


def test_library_without_gpus_is_reported(
    tmp_path: Path, reader: FakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "read", list)

    (finding,) = problems(tmp_path)

    assert "lists no GPU" in finding.text


def test_gpus_without_values_are_reported(tmp_path: Path, reader: FakeReader) -> None:
    gres(tmp_path)
    reader.readings = tuple(GPUS)

    (finding,) = problems(tmp_path)

    assert finding.level == "FAIL"
    assert "no value of any GPU can be read" in finding.text


def test_unread_value_is_reported(tmp_path: Path, reader: FakeReader) -> None:
    gres(tmp_path)
    reader.readings = (gpu(0, utilization=1),)
    reader.unread = ["GPU 0: power_watts: error 999"]

    (finding,) = problems(tmp_path)

    assert finding.text == "fake GPUs: 0; not read: GPU 0: power_watts: error 999"


def test_unknown_order_is_reported(tmp_path: Path, reader: FakeReader) -> None:
    reader.readings = (gpu(0, utilization=1),)

    (finding,) = problems(tmp_path)

    assert "the order of Slurm's GPUs is not known: slurmd was not found" in finding.text
    assert "AutoDetect=nvml in gres.conf" in finding.fix


def test_known_gpus_of_jobs_are_ok(tmp_path: Path, reader: FakeReader) -> None:
    gres(tmp_path)
    V2Job(tmp_path, "job_7")
    record(tmp_path / "spool/jobs", "7", node="n1", gpus="2")
    reader.readings = tuple(gpu(number, utilization=1) for number in range(4))

    texts = [finding.text for finding in findings(tmp_path)]

    assert problems(tmp_path) == []
    assert texts[1:] == [
        f"{tmp_path}/etc/slurm/gres.conf: Slurm has 4 GPUs on this node",
        "job_7 has the GPUs 2",
    ]


def test_uuids_need_no_order(tmp_path: Path, reader: FakeReader) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "spool/jobs", "7", gpus="0", visible_gpus="GPU-2222-aaaa")
    reader.readings = tuple(gpu(number, utilization=1) for number in range(4))

    assert problems(tmp_path) == []


def test_missing_gpu_of_job_is_reported(tmp_path: Path, reader: FakeReader) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "spool/jobs", "7", gpus="0,1", visible_gpus="GPU-2222-aaaa,GPU-none")
    reader.readings = tuple(gpu(number, utilization=1) for number in range(4))

    (finding,) = problems(tmp_path)

    assert finding.level == "FAIL"
    assert finding.text.startswith("job_7: GPUs found: 2; not found: Slurm's GPU GPU-none")


def test_gpu_job_without_device_files_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "Gpus", lambda *_, **__: [])
    V2Job(tmp_path, "job_7")
    assert problems(tmp_path) == []
    record(tmp_path / "spool/jobs", "7", gpus="0")

    (finding,) = problems(tmp_path)

    assert "the device files of the GPUs are not on this node" in finding.text
