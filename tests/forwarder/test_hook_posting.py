"""The hooks' posts, and what happens when something fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.hooks import FILES, FOLDER, SHELLS, Cluster, encoded, recorded
from tests.waiting import WAIT_SECONDS, eventually

if TYPE_CHECKING:
    from pathlib import Path

needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl posts the hooks' events")


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
    eventually(lambda: not processes_with(cluster.token))

    assert len(cluster.events()) == 1


@needs_curl
def test_client_certificate_is_sent(cluster: Cluster, mutual_tls: Site, authority: Path) -> None:
    cluster.settings["HPCOBS_URL"] = mutual_tls.url
    (cluster.root / "own.conf").write_text(
        f"HPCOBS_CA_FILE={authority}\nHPCOBS_CLIENT_CERT_FILE={authority}\n"
    )
    cluster.settings["HPCOBS_CONFIG"] = str(cluster.root / "own.conf")
    cluster.run("Prolog", recorded("Prolog", "1"))
    mutual_tls.wait_for(1, "/v1/events/job-started")


@needs_curl
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
        timeout=WAIT_SECONDS,
        check=False,
    )
    if ended.returncode in {1, 77} and b"Operation not permitted" in ended.stderr:
        pytest.skip("mounting is not allowed here")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    site.wait_for(1, f"/v1/events/job-{kind}")


@needs_curl
def test_post_survives_kill_of_hooks_process_group(cluster: Cluster, site: Site) -> None:
    # The post hangs on a pipe until the test writes a token. So a hook that waited for its post
    # would not end.
    cluster.token.unlink()
    os.mkfifo(cluster.token)
    cluster.settings["HPCOBS_URL"] = site.url
    process = subprocess.Popen(
        [str(FOLDER / "epilog")],
        env={**encoded(recorded("Epilog", "1")), **encoded(cluster.settings)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )

    assert process.communicate(timeout=WAIT_SECONDS)[0] == b""
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert not site.received

    # "r+", because opening a pipe for writing alone waits for its reader.
    with cluster.token.open("r+b", buffering=0) as token:
        token.write(b"secret\n")
        eventually(lambda: site.received)


@needs_curl
def test_no_command_line_shows_token(cluster: Cluster, site: Site) -> None:
    site.usual = Reply(hang=True)
    cluster.settings["HPCOBS_URL"] = site.url
    cluster.run("Epilog", recorded("Epilog", "1"))
    lines: list[bytes] = []

    def curl_runs() -> bool:
        lines.extend(processes_with(site.url))
        return bool(lines)

    # curl stops after 3 s. So it is looked for from its start, not from the request's arrival.
    eventually(curl_runs)

    assert not any(b"secret" in line or b"www-data" in line for line in lines)


def processes_with(argument: object) -> list[bytes]:
    """Return the command lines that contain ``argument``."""
    lines = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                lines.append(file.read())
        except OSError:
            continue
    return [line for line in lines if str(argument).encode() in line]


def test_all_files_parse_in_all_shells() -> None:
    failures: list[Any] = [
        (shell, file.name)
        for shell in SHELLS
        for file in FOLDER.iterdir()
        if subprocess.run([*shell.split(), "-n", str(file)], check=False).returncode
    ]

    assert failures == []
