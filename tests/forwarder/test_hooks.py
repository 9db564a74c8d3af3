"""The four hooks, on the environments that a real Slurm gave them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.node.records import Records
from tests.forwarder.daemon import eventually
from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.hooks import FILES, FOLDER, RECORDED, SHELLS, Cluster, encoded, recorded

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


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


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
    cluster.run("Prolog", {**recorded("Prolog", "10"), **sluid, "SLURM_JOB_GPUS": "0,1"})
    cluster.settle()
    records = Records(str(cluster.spool / "jobs"))
    records.refresh()

    (record,) = records.all()

    assert (record.job_id, record.sluid, record.cluster_name) == ("10", "s4YDWXGQK8ZT30", "lab")
    assert (record.cpus, record.gpus) == (4, ("0", "1"))
    assert record.began_at is not None
    assert 0 <= time.clock_gettime(time.CLOCK_BOOTTIME) - record.began_at < 60
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


@pytest.mark.parametrize("hook", FILES)
@pytest.mark.parametrize("shell", SHELLS)
def test_failing_hook_is_silent_and_returns_0(
    cluster: Cluster, tmp_path: Path, hook: str, shell: str
) -> None:
    (tmp_path / "file").touch()
    alone = tmp_path / "alone"
    shutil.copy(FOLDER / FILES[hook], alone)
    usual = recorded(hook, "1")
    cluster.settings["HPCOBS_SPOOL_DIR"] = str(tmp_path / "file/spool")
    cluster.settings["HPCOBS_TOKEN_FILE"] = str(tmp_path / "no token")
    cluster.settings["HPCOBS_URL"] = "http://127.0.0.1:9"
    runs = [
        cluster.run(hook, usual, shell),
        cluster.run(hook, {}, shell),
        cluster.run(hook, {"SLURM_JOB_ID": "../../etc"}, shell),
        cluster.run(hook, {**usual, "HPCOBS_CONFIG": str(tmp_path)}, shell),
        cluster.run(hook, usual, shell, path=alone),
    ]

    assert [(run.returncode, run.stdout, run.stderr) for run in runs] == [(0, b"", b"")] * 5


def test_broken_hook_library_returns_0(cluster: Cluster, tmp_path: Path) -> None:
    for file in FOLDER.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "json.sh").unlink()
    first = cluster.run("Prolog", recorded("Prolog", "1"), path=tmp_path / "prolog")
    (tmp_path / "hook.sh").write_text("if then (")
    second = cluster.run("Prolog", recorded("Prolog", "1"), path=tmp_path / "prolog")

    assert (first.returncode, second.returncode) == (0, 0)


needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl posts the hooks' events")


@needs_curl
def test_accepted_event_leaves_the_spool(cluster: Cluster, site: Site) -> None:
    cluster.settings["HPCOBS_URL"] = site.url
    cluster.run("Prolog", recorded("Prolog", "1"))

    site.wait_for(1, "/v1/events/job-started")

    (received,) = site.received
    assert received.headers["Authorization"] == "Bearer secret"
    assert received.body["job_id"] == "1"
    eventually(lambda: not cluster.events())


@needs_curl
@pytest.mark.parametrize("status", [401, 404, 503])
def test_rejected_event_stays_for_forwarder(cluster: Cluster, site: Site, status: int) -> None:
    site.usual = Reply(status)
    cluster.settings["HPCOBS_URL"] = site.url
    cluster.run("Epilog", recorded("Epilog", "1"))
    eventually(lambda: site.received)
    time.sleep(0.2)

    assert len(cluster.events()) == 1


@needs_curl
@needs_curl
def test_client_certificate_is_sent(cluster: Cluster, wary: Site, authority: Path) -> None:
    cluster.settings["HPCOBS_URL"] = wary.url
    (cluster.root / "own.conf").write_text(
        f"HPCOBS_CA_FILE={authority}\nHPCOBS_CLIENT_CERT_FILE={authority}\n"
    )
    cluster.settings["HPCOBS_CONFIG"] = str(cluster.root / "own.conf")
    cluster.run("Prolog", recorded("Prolog", "1"))
    wary.wait_for(1, "/v1/events/job-started")


def test_event_is_posted_without_spool(cluster: Cluster, site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cluster.settings["HPCOBS_SPOOL_DIR"] = str(tmp_path / "file/spool")
    cluster.settings["HPCOBS_URL"] = site.url

    cluster.run("Epilog", recorded("Epilog", "2"))

    site.wait_for(1, "/v1/events/job-finished")
    assert site.received[0].body["exit_code"] == 3


FULL_DISK = """
mount -t tmpfs -o size=16k tmpfs "$HPCOBS_SPOOL_DIR" || exit 77
mkdir "$HPCOBS_SPOOL_DIR/events" "$HPCOBS_SPOOL_DIR/jobs"
head -c 100000 /dev/zero >"$HPCOBS_SPOOL_DIR/zeros" 2>/dev/null
"$1"; status=$?
find "$HPCOBS_SPOOL_DIR" -type f ! -name zeros
exit $status
"""


@needs_curl
@pytest.mark.parametrize(("hook", "kind"), [("Prolog", "started"), ("EpilogSlurmctld", "finished")])
def test_full_disk_posts_event_and_leaves_no_file(
    cluster: Cluster, site: Site, hook: str, kind: str
) -> None:
    cluster.settings["HPCOBS_URL"] = site.url
    cluster.spool.mkdir()
    ended = subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", FULL_DISK, "sh", str(FOLDER / FILES[hook])],
        env={b"PATH": os.environb[b"PATH"]}
        | encoded(recorded(hook, "1"))
        | encoded(cluster.settings),
        capture_output=True,
        timeout=20,
        check=False,
    )
    if ended.returncode in {1, 77} and b"Operation not permitted" in ended.stderr:
        pytest.skip("nobody may mount here")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    site.wait_for(1, f"/v1/events/job-{kind}")


@needs_curl
def test_post_survives_kill_of_hooks_process_group(cluster: Cluster, site: Site) -> None:
    site.usual = Reply(hang=True)
    cluster.settings["HPCOBS_URL"] = site.url
    began = time.monotonic()
    process = subprocess.Popen(
        [str(FOLDER / "epilog")],
        env={**encoded(recorded("Epilog", "1")), **encoded(cluster.settings)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )

    assert process.communicate(timeout=10)[0] == b""
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)

    assert time.monotonic() - began < 1, "20 ms on an idle node; loaded machines are slow"
    eventually(lambda: site.received)


@needs_curl
def test_no_command_line_shows_token(cluster: Cluster, site: Site) -> None:
    site.usual = Reply(hang=True)
    cluster.settings["HPCOBS_URL"] = site.url
    cluster.run("Epilog", recorded("Epilog", "1"))
    eventually(lambda: site.received)

    lines = [line for line in command_lines() if site.url.encode() in line]

    assert lines
    assert not any(b"secret" in line or b"www-data" in line for line in lines)


def command_lines() -> list[bytes]:
    lines = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                lines.append(file.read())
        except OSError:
            continue
    return lines


@pytest.mark.parametrize("shell", SHELLS)
def test_event_time_is_the_clocks(cluster: Cluster, shell: str) -> None:
    before = time.time()
    cluster.run("Prolog", recorded("Prolog", "1"), shell)

    cluster.settle()
    (file,) = (cluster.spool / "events").iterdir()
    milliseconds = int(file.name.split("-")[0])

    assert int(before * 1000) <= milliseconds <= int(time.time() * 1000)
    told = datetime.fromisoformat(cluster.event()["timestamp"].replace("Z", "+00:00"))
    assert round(told.timestamp() * 1000) == milliseconds


def test_all_files_parse_in_all_shells() -> None:
    failures: list[Any] = [
        (shell, file.name)
        for shell in SHELLS
        for file in FOLDER.iterdir()
        if subprocess.run([*shell.split(), "-n", str(file)], check=False).returncode
    ]

    assert failures == []
