"""Run the hooks as Slurm runs them: by absolute path, with Slurm's variables only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.waiting import WAIT_SECONDS, eventually

FOLDER = Path(__file__).parents[2] / "forwarder" / "slurm"
FILES = {
    "Prolog": "prolog",
    "Epilog": "epilog",
    "PrologSlurmctld": "prolog_slurmctld",
    "EpilogSlurmctld": "epilog_slurmctld",
}
SHELLS = [
    f"{shutil.which(shell.split()[0])}{shell[len(shell.split()[0]) :]}"
    for shell in ("dash", "bash --posix", "busybox sh", "ksh", "mksh")
    if shutil.which(shell.split()[0])
]
RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parent / "fixtures/hooks-22.05.jsonl").read_text().splitlines()
]


def recorded(hook: str, job_id: str) -> dict[str, str]:
    """Return the environment that Slurm 22.05 gave to ``hook`` for the first run of ``job_id``."""
    environment: dict[str, str] = next(
        call["env"]
        for call in RECORDED
        if call["hook"] == hook and call["env"]["SLURM_JOB_ID"] == job_id
    )
    return environment


class Cluster:
    """A spool, a token, and hooks without a site's address unless ``settings`` has one."""

    def __init__(self, root: Path) -> None:
        self.spool = root / "spool"
        self.fallback = root / "fallback"
        self.token = root / "token"
        self.token.write_text("secret\n")
        self.settings = {
            "HPCOBS_CONFIG": str(root / "none.conf"),
            "HPCOBS_SPOOL_DIR": str(self.spool),
            "HPCOBS_FALLBACK_DIR": str(self.fallback),
            "HPCOBS_TOKEN_FILE": str(self.token),
        }
        self.root = root

    def run(
        self, hook: str, environment: dict[str, str], shell: str = "", **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        path = options.pop("path", FOLDER / FILES[hook])
        return subprocess.run(
            [*shell.split(), str(path)],
            env={**encoded(environment), **encoded(self.settings)},
            cwd=self.root,
            capture_output=True,
            timeout=WAIT_SECONDS,
            check=False,
            **options,
        )

    def settle(self) -> None:
        """Wait until all files are renamed into place: a hook leaves that to the background."""
        eventually(lambda: not any(self.spool.glob("*/.*")))

    def events(self) -> list[dict[str, Any]]:
        """Return the events in the spool, in the order of their file names."""
        self.settle()
        folder = self.spool / "events"
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        return [json.loads(file.read_bytes().decode()) for file in files]

    def event(self) -> dict[str, Any]:
        (event,) = self.events()
        return event


def encoded(environment: dict[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
