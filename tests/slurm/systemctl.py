"""The commands of systemctl that the guide uses, on a machine whose init is not systemd.

Run as ``systemctl.py FOLDER COMMAND…``. A unit is started as its file says: program, user, folders,
umask. Limits and protections are systemd's own, and have no counterpart here.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

STOP_SECONDS = 30.0
OUTSIDE = {"slurmctld": ("ctld/slurmctld.pid", ["slurmctld"])}
"""Units that come with Slurm: the file of their process id, and their command."""


class Units:
    """The units in a folder that stands for /."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def call(self, command: str, *arguments: str) -> int:
        """Run a command of systemctl. Return its exit status."""
        units = [word for word in arguments if not word.startswith("-")]
        if command == "daemon-reload":
            return 0
        if command == "is-active":
            return self._is_active(units[0])
        if command in {"restart", "disable"}:
            self._stop(units[0])
        if command in {"restart", "enable"}:
            self._start(units[0])
        return 0 if command in {"restart", "disable", "enable"} else 1

    def _pid_file(self, unit: str) -> Path:
        return self._top / (OUTSIDE[unit][0] if unit in OUTSIDE else f"run/{unit}.pid")

    def _is_active(self, unit: str) -> int:
        active = self._pid_file(unit).exists() and _alive(int(self._pid_file(unit).read_text()))
        sys.stdout.write("active\n" if active else "inactive\n")
        return 0 if active else 3

    def _start(self, unit: str) -> None:
        if unit in OUTSIDE:
            subprocess.run(OUTSIDE[unit][1], check=True)
            return
        lines = (self._top / f"etc/systemd/system/{unit}.service").read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines if "=" in line and line[0].isupper())
        user = settings.get("User", "root")
        for kind, top in (("State", "var/lib"), ("Runtime", "run")):
            folder = self._top / top / settings[f"{kind}Directory"]
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(exist_ok=True)
            folder.chmod(int(settings[f"{kind}DirectoryMode"], 8))
            shutil.chown(folder, user, user)
        with (self._top / f"log/{unit}.log").open("ab") as log:
            process = subprocess.Popen(
                settings["ExecStart"].split(),
                user=user,
                group=user,
                extra_groups=[],
                umask=int(settings["UMask"], 8),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        self._pid_file(unit).write_text(str(process.pid))

    def _stop(self, unit: str) -> None:
        try:
            pid = int(self._pid_file(unit).read_text())
            os.kill(pid, signal.SIGTERM)
        except (FileNotFoundError, ProcessLookupError):
            return
        deadline = time.monotonic() + STOP_SECONDS
        while _alive(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self._pid_file(unit).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(Units(Path(sys.argv[1])).call(*sys.argv[2:]))
