"""The events and records of the four hooks, in environments recorded from a real Slurm."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.node.records import Records, read_record
from tests.forwarder.hooks import FILES, RECORDED, SHELLS, Cluster, recorded
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

STARTED = {
    "job_id", "user", "node_list", "timestamp", "node", "cpu_allocation", "cpus_per_node",
    "memory_allocation_mb",
    "gpu_allocation", "gpu_vendor", "gpu_devices", "cgroup_path", "partition", "account",
    "cluster_name", "name", "array_job_id", "array_task_id", "restart_count", "source",
}  # fmt: skip
FINISHED = {
    "job_id", "final_state", "timestamp", "exit_code", "signal", "node", "node_list", "user",
    "cluster_name", "restart_count", "source",
}  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_recorded_calls_give_contract_events(cluster: Cluster, shell: str) -> None:
    for call in RECORDED:
        ended = cluster.run(call["hook"], call["env"], shell)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")

    events = cluster.events()

    assert len(events) == len(RECORDED)
    for event, call in zip(events, RECORDED):
        source = FILES[call["hook"]]
        assert event["source"] == source
        assert event["job_id"] == call["env"]["SLURM_JOB_ID"]
        assert event["cluster_name"] == "lab"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["timestamp"])
        assert set(event) <= (STARTED if "prolog" in source else FINISHED)


def test_prolog_event_has_node_fields(cluster: Cluster) -> None:
    cluster.run("Prolog", recorded("Prolog", "10"))

    event = cluster.event()

    del event["timestamp"]
    assert event == {
        "job_id": "10",
        "user": "www-data",
        "node_list": "n[1-2]",
        "node": "n1",
        "cpu_allocation": 2,
        "cpus_per_node": "1(x2)",
        "partition": "main",
        "cluster_name": "lab",
        "restart_count": 0,
        "source": "prolog",
    }


def test_controller_prolog_event_has_name_and_array(cluster: Cluster) -> None:
    cluster.run("PrologSlurmctld", recorded("PrologSlurmctld", "13"))

    event = cluster.event()

    assert (event["name"], event["array_job_id"], event["array_task_id"]) == ("arr", "9", "1")
    assert "account" not in event
    assert "node" not in event


def test_gpus_are_named_by_slurms_index(cluster: Cluster) -> None:
    cluster.run("Prolog", recorded("Prolog", "19"))

    event = cluster.event()

    assert (event["gpu_allocation"], event["gpu_devices"]) == (2, ["0", "1"])


@pytest.mark.parametrize(
    ("variables", "devices", "gpus", "visible"),
    [
        ({"CUDA_VISIBLE_DEVICES": "GPU-a,0"}, ["GPU-a", "0"], ("0", "1"), ("GPU-a", "0")),
        ({"CUDA_VISIBLE_DEVICES": "MIG-a,1"}, ["MIG-a", "1"], ("0", "1"), ("MIG-a", "1")),
        ({"CUDA_VISIBLE_DEVICES": ""}, ["0", "1"], ("0", "1"), ("0", "1")),
        ({"SLURM_JOB_GPUS": ""}, ["0", "1"], (), ("0", "1")),
        ({"SLURM_JOB_GPUS": "", "CUDA_VISIBLE_DEVICES": "NoDevFiles"}, None, (), ("NoDevFiles",)),
    ],
)  # fmt: skip
def test_record_keeps_both_lists_of_gpus(
    cluster: Cluster,
    variables: dict[str, str],
    devices: list[str] | None,
    gpus: tuple[str, ...],
    visible: tuple[str, ...],
) -> None:
    conf = {"SLURM_CONF": "/srv/slurm/etc/slurm.conf"}
    cluster.run("Prolog", {**recorded("Prolog", "19"), **conf, **variables})

    assert cluster.event().get("gpu_devices") == devices
    record = read_record(str(cluster.spool / "jobs/19.json"))
    assert record is not None
    assert (record.gpus, record.visible_gpus) == (gpus, visible)
    assert record.slurm_conf == "/srv/slurm/etc/slurm.conf"


def test_long_lists_in_record_are_not_cut(cluster: Cluster) -> None:
    uuids = ",".join(f"GPU-{number:08}-0000-0000-0000-000000000000" for number in range(16))
    per_node = ",".join(str(1 + number % 2) for number in range(400))
    long = {"CUDA_VISIBLE_DEVICES": uuids, "SLURM_JOB_CPUS_PER_NODE": per_node}
    nodes = {"SLURM_NODELIST": "n[1-400]", "SLURMD_NODENAME": "n400"}
    cluster.run("Prolog", {**recorded("Prolog", "19"), **long, **nodes})
    cluster.settle()

    record = read_record(str(cluster.spool / "jobs/19.json"))

    assert record is not None
    assert record.visible_gpus == tuple(uuids.split(","))
    assert record.cpus == 2


def test_mig_devices_keep_their_names(cluster: Cluster) -> None:
    devices = {"CUDA_VISIBLE_DEVICES": "MIG-a,MIG-b", "SLURM_JOB_GPUS": "0"}
    cluster.run("Prolog", {**recorded("Prolog", "19"), **devices})

    assert cluster.event()["gpu_devices"] == ["MIG-a", "MIG-b"]


@pytest.mark.parametrize(
    ("job_id", "final"),
    [
        ("1", ("completed", 0, 0)),
        ("2", ("failed", 3, 0)),
        ("4", ("failed", 0, 11)),
        ("5", ("failed", 0, 125)),
        ("7", ("completed", 0, 0)),
        ("10", ("failed", 5, 0)),
    ],
)
@pytest.mark.parametrize("hook", ["Epilog", "EpilogSlurmctld"])
def test_epilog_event_has_final_state(
    cluster: Cluster, hook: str, job_id: str, final: tuple[str, int, int]
) -> None:
    cluster.run(hook, recorded(hook, job_id))

    event = cluster.event()

    assert (event["final_state"], event["exit_code"], event["signal"]) == final


@pytest.mark.parametrize(
    ("variables", "final"),
    [
        ({"SLURM_JOB_EXIT_CODE2": "0:15"}, ("cancelled", 0, 15)),
        ({"SLURM_JOB_EXIT_CODE2": "0:9"}, ("cancelled", 0, 9)),
        ({"SLURM_JOB_EXIT_CODE2": "", "SLURM_JOB_EXIT_CODE": "768"}, ("failed", 3, 0)),
        ({"SLURM_JOB_EXIT_CODE2": "", "SLURM_JOB_EXIT_CODE": "11"}, ("failed", 0, 11)),
        ({"SLURM_JOB_EXIT_CODE2": "", "SLURM_JOB_EXIT_CODE": ""}, ("completed", None, None)),
        ({"SLURM_JOB_EXIT_CODE2": "$(id):x", "SLURM_JOB_EXIT_CODE": "0"}, ("completed", 0, 0)),
    ],
)
def test_signals_and_older_slurm_are_parsed(
    cluster: Cluster, variables: dict[str, str], final: tuple[str, int | None, int | None]
) -> None:
    cluster.run("Epilog", {**recorded("Epilog", "1"), **variables})

    event = cluster.event()

    assert (event["final_state"], event.get("exit_code"), event.get("signal")) == final


@pytest.mark.parametrize(
    ("per_node", "cpus"),
    [("4(x2),2", 10), ("128", 128), ("1(x2)", 2), ("3,4,5(x3)", 22), ("", None), ("a(x2)", None)],
)
def test_cpus_of_all_nodes_are_summed(cluster: Cluster, per_node: str, cpus: int | None) -> None:
    cluster.run("Prolog", {**recorded("Prolog", "1"), "SLURM_JOB_CPUS_PER_NODE": per_node})

    event = cluster.event()
    assert event.get("cpu_allocation") == cpus
    assert event.get("cpus_per_node") == (per_node if cpus else None)


def test_prolog_record_is_readable_and_epilog_removes_it(
    cluster: Cluster,
) -> None:
    sluid = {"SLURM_JOB_SLUID": "s4YDWXGQK8ZT30", "SLURM_JOB_CPUS_PER_NODE": "4,2"}
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    cluster.run("Prolog", {**recorded("Prolog", "10"), **sluid, "SLURM_JOB_GPUS": "0,1"})
    cluster.settle()
    records = Records(str(cluster.spool / "jobs"))
    records.refresh()

    (record,) = records.all()

    assert (record.job_id, record.sluid, record.cluster_name) == ("10", "s4YDWXGQK8ZT30", "lab")
    assert (record.cpus, record.gpus) == (4, ("0", "1"))
    assert record.began_at is not None
    # /proc/uptime has hundredths of a second.
    assert before - 0.01 <= record.began_at <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert record.boot_id

    cluster.run("Epilog", recorded("Epilog", "10"))

    def gone() -> bool:
        records.refresh()
        return not records.all()

    eventually(gone)


def test_configuration_file_sets_spool_and_cluster(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "my.conf"
    file.write_text(f"# c\nHPCOBS_SPOOL_DIR='{tmp_path}/else where'\nHPCOBS_CLUSTER_NAME=\"a b\"")
    cluster.settings = {"HPCOBS_CONFIG": str(file)}
    cluster.spool = tmp_path / "else where"

    cluster.run("Prolog", recorded("Prolog", "1"))

    assert cluster.event()["cluster_name"] == "a b"


@pytest.mark.parametrize("shell", SHELLS)
def test_event_and_its_file_carry_hooks_time(cluster: Cluster, shell: str) -> None:
    before = time.time()
    cluster.run("Prolog", recorded("Prolog", "1"), shell)

    cluster.settle()
    (file,) = (cluster.spool / "events").iterdir()
    milliseconds = int(file.name.split("-")[0])

    assert int(before * 1000) <= milliseconds <= int(time.time() * 1000)
    reported = datetime.fromisoformat(cluster.event()["timestamp"].replace("Z", "+00:00"))
    assert round(reported.timestamp() * 1000) == milliseconds


def test_epilog_removes_record_of_slow_prolog(cluster: Cluster) -> None:
    jobs = cluster.spool / "jobs"
    jobs.mkdir(parents=True)
    (jobs / ".10.json.4242").write_text("{}")  # its Prolog is about to rename it
    (jobs / ".101.json.4242").write_text("{}")
    cluster.run("Epilog", recorded("Epilog", "10"))

    eventually(lambda: [file.name for file in jobs.iterdir()] == [".101.json.4242"])
