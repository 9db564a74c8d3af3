"""Slurm's own history: slurmdbd on a MariaDB, for ``sacct``."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.ports import free_ports
from tests.slurm.daemons import Programs, end, end_process, until
from tests.slurm.settings import CLUSTER, slurmdbd_conf

if TYPE_CHECKING:
    from pathlib import Path


class Accounting:
    """A MariaDB and a slurmdbd, in the folder of their Slurm."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self._folder, self._programs = folder, programs
        self._database_port, self._port = free_ports(2)
        self._database: subprocess.Popen[bytes] | None = None
        self._pid_file = folder / "ctld/slurmdbd.pid"

    def settings(self) -> dict[str, object]:
        """Return what slurm.conf needs for it."""
        return {
            "AccountingStorageType": "accounting_storage/slurmdbd",
            "AccountingStorageHost": "127.0.0.1",
            "AccountingStoragePort": self._port,
            "AccountingStoragePass": f"{self._folder}/munge/socket",
        }

    def start(self) -> None:
        """Start both daemons, and register the cluster."""
        conf = self._folder / "etc/slurmdbd.conf"
        conf.write_text(slurmdbd_conf(self._folder, self._port, self._database_port))
        conf.chmod(0o600)
        shutil.chown(conf, "slurm")
        self._start_database()
        # Nothing else runs as slurm here, and slurmdbd must not start as root.
        self._programs.run("slurmdbd", user="slurm")
        until(self._is_registered)

    def stop(self) -> None:
        """End both daemons."""
        end(self._pid_file)
        end_process(self._database)

    def _start_database(self) -> None:
        data = self._folder / "mariadb"
        data.mkdir()
        shutil.chown(data, "slurm")
        # Else slurmdbd creates it and connects again, which fails with the libmariadb of Debian 13.
        (data / "init.sql").write_text("CREATE DATABASE slurm;\n")
        # Without grant tables it needs no set-up. Only this host reaches it.
        self._database = self._programs.start(
            self._folder / "log/mariadb.log",
            "mariadbd",
            "--no-defaults",
            "--skip-grant-tables",
            f"--datadir={data}",
            f"--init-file={data}/init.sql",
            f"--socket={data}/socket",
            f"--pid-file={data}/pid",
            "--bind-address=127.0.0.1",
            f"--port={self._database_port}",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-lock-wait-timeout=900",
            user="slurm",
        )
        until((data / "socket").exists)

    def _is_registered(self) -> bool:
        done = self._programs.attempt("sacctmgr", "--immediate", "add", "cluster", CLUSTER)
        return done.returncode == 0 or "already exists" in done.stdout
