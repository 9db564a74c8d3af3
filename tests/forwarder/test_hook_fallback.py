"""Hooks on a full or read-only disk while the site is away: no start and no end is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.spool.fallback import Fallback
from tests.forwarder.daemon import Node
from tests.forwarder.hooks import FILES, FOLDER, SHELLS, Cluster, encoded, recorded
from tests.waiting import WAIT_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.forwarder.fake_site import Site

# In a mount namespace of its own: a disk that is full or read-only, and a logger that writes to a
# file. Its end waits for the background process, which keeps the namespace.
IN_NAMESPACE = """
mount -t tmpfs -o size=16k tmpfs "$HPCOBS_SPOOL_DIR" || exit 77
mkdir "$HPCOBS_SPOOL_DIR/events" "$HPCOBS_SPOOL_DIR/jobs"
case $1 in
    full) head -c 100000 /dev/zero >"$HPCOBS_SPOOL_DIR/zeros" 2>/dev/null ;;
    read-only) mount -o remount,ro "$HPCOBS_SPOOL_DIR" ;;
esac
mount --bind "$2" "$(command -v logger)"
shift 2
"$@"; status=$?
find "$HPCOBS_SPOOL_DIR" -type f ! -name zeros
exit $status
"""
DISKS = ["full", "read-only"]

pytestmark = pytest.mark.skipif(not shutil.which("logger"), reason="logger is util-linux's")


class Away:
    """A cluster whose site is away and whose spool is on a bad disk."""

    def __init__(self, cluster: Cluster, root: Path) -> None:
        self.cluster = cluster
        self.log = root / "log"
        self._logger = root / "logger"
        self._logger.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{self.log}\n')
        self._logger.chmod(0o755)
        cluster.spool.mkdir()
        cluster.settings["HPCOBS_URL"] = "http://127.0.0.1:9"

    def run(self, disk: str, hook: str, shell: str = "", job_id: str = "1") -> None:
        script = ["sh", disk, str(self._logger), *shell.split(), str(FOLDER / FILES[hook])]
        ended = subprocess.run(
            ["unshare", "--mount", "/bin/sh", "-c", IN_NAMESPACE, *script],
            env={b"PATH": os.environb[b"PATH"]}
            | encoded(recorded(hook, job_id))
            | encoded(self.cluster.settings),
            capture_output=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
        if ended.returncode in {1, 77} and b"Operation not permitted" in ended.stderr:
            pytest.skip("mounting is not allowed here")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")

    def kept(self) -> list[dict[str, Any]]:
        folder = self.cluster.fallback / "events"
        eventually(lambda: folder.is_dir() and not any(self.cluster.fallback.glob("*/.*")))
        return [json.loads(file.read_text()) for file in sorted(folder.iterdir())]


@pytest.fixture
def away(cluster: Cluster, tmp_path: Path) -> Away:
    return Away(cluster, tmp_path)


@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("shell", SHELLS)
def test_fallback_folder_keeps_start_and_record(away: Away, disk: str, shell: str) -> None:
    away.cluster.fallback.mkdir()
    away.run(disk, "Prolog", shell, job_id="10")

    (event,) = away.kept()

    assert (event["job_id"], event["source"]) == ("10", "prolog")
    records = Records(str(away.cluster.spool / "jobs"), Fallback(str(away.cluster.fallback)))
    records.refresh()
    (record,) = records.all()
    assert (record.job_id, record.node) == ("10", "n1")
    assert not away.log.exists()


@pytest.mark.parametrize("disk", DISKS)
def test_epilog_removes_record_in_fallback_folder(away: Away, disk: str) -> None:
    away.cluster.fallback.mkdir()
    away.run(disk, "Prolog", job_id="10")
    assert len(away.kept()) == 1
    jobs = away.cluster.fallback / "jobs"
    (jobs / ".10.json.4242").write_text("{}")  # of a Prolog that is slow

    away.run(disk, "Epilog", job_id="10")

    eventually(lambda: not list(jobs.iterdir()))
    assert [event["source"] for event in away.kept()] == ["prolog", "epilog"]


@pytest.mark.parametrize("hook", FILES)
def test_event_without_any_folder_is_logged(away: Away, hook: str) -> None:
    away.run("full", hook)

    eventually(away.log.exists)
    eventually(lambda: away.log.read_text().endswith("}\n"))
    (line,) = away.log.read_text().splitlines()
    options, lost, event = line.partition("accepted it: ")
    assert options.startswith("-t hpcobs -p daemon.err job-")
    assert lost
    assert json.loads(event)["job_id"] == "1"


def test_posted_event_is_not_logged(away: Away, site: Site) -> None:
    away.cluster.settings["HPCOBS_URL"] = site.url
    away.run("full", "Epilog")
    site.wait_for(1, "/v1/events/job-finished")

    assert not away.log.exists()


@pytest.mark.parametrize("kind", ["link", "other"])
def test_folder_of_others_gets_no_event(away: Away, tmp_path: Path, kind: str) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    if kind == "link":
        away.cluster.fallback.symlink_to(planted)
    else:
        planted.rename(away.cluster.fallback)
        os.chown(away.cluster.fallback, 65534, 65534)
        planted = away.cluster.fallback
    away.run("full", "Prolog")

    eventually(away.log.exists)
    assert list(planted.iterdir()) == []


@pytest.fixture
def node(tmp_path: Path, site: Site) -> Iterator[Node]:
    node = Node(tmp_path, site)
    yield node
    node.stop()


def test_forwarder_sends_events_of_fallback_once(away: Away, node: Node, site: Site) -> None:
    away.cluster.fallback.mkdir()
    away.run("full", "Prolog")
    assert len(away.kept()) == 1
    folder = away.cluster.fallback / "events"
    for file in folder.iterdir():
        written, _, rest = file.name.partition("-")
        file.rename(folder / f"{int(written) - 60_000}-{rest}")  # its hook has given up
    node.start()
    site.wait_for(1, "/v1/events/job-started")
    site.wait_for(3)

    assert len(site.accepted("/v1/events/job-started")) == 1
    assert not list(folder.iterdir())
    assert not list((node.spool / "events").iterdir())


def test_forwarder_moves_events_to_its_spool(away: Away, node: Node) -> None:
    away.cluster.fallback.mkdir()
    away.run("full", "Prolog")
    (event,) = away.kept()
    node.configure(HPCOBS_URL="http://127.0.0.1:9")
    node.start()

    eventually(lambda: list(node.spool.glob("events/[!.]*")))

    (file,) = node.spool.glob("events/[!.]*")
    assert json.loads(file.read_text()) == event
    eventually(lambda: not list((away.cluster.fallback / "events").iterdir()))
