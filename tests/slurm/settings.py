"""The configuration files of a Slurm on this host."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER = "lab"
NODES = ("n1", "n2")
CREDENTIAL_SECONDS = 5
"""The least time that a requeued job waits. Slurm's default is 120."""


def host_name() -> str:
    """Return this host's short name."""
    return socket.gethostname().partition(".")[0]


def controller(folder: Path, port: int) -> dict[str, object]:
    """Return the settings of slurmctld and of all daemons."""
    return {
        "ClusterName": CLUSTER,
        "SlurmctldHost": f"{host_name()}(127.0.0.1)",
        "SlurmctldPort": port,
        "SlurmUser": "slurm",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge/socket,cred_expire={CREDENTIAL_SECONDS}",
        "CredType": "cred/munge",
        "AuthAltTypes": "auth/jwt",
        "AuthAltParameters": f"jwt_key={folder}/etc/jwt.key",
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "StateSaveLocation": f"{folder}/spool/ctld",
        "SlurmdSpoolDir": f"{folder}/spool/%n",
        "SlurmctldPidFile": f"{folder}/ctld/slurmctld.pid",
        "SlurmctldLogFile": f"{folder}/ctld/slurmctld.log",
        "SlurmdPidFile": f"{folder}/run/slurmd.%n.pid",
        "SlurmdLogFile": f"{folder}/log/slurmd.%n.log",
        # Slurm must not touch this machine's own cgroups.
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/linux",
        "AccountingStorageType": "accounting_storage/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        "SchedulerParameters": "sched_interval=2,bf_interval=2",
        "MpiDefault": "none",
        "ReturnToService": 2,
        "KillWait": 2,
        "PrologFlags": "Alloc",
        # The nodes may have more CPUs than this machine.
        "SlurmdParameters": "config_overrides",
        "GresTypes": "gpu",
    }


def slurm_conf(settings: dict[str, object], node_ports: dict[str, int]) -> str:
    """Return the text of ``slurm.conf``."""
    lines = [f"{name}={value}" for name, value in settings.items()]
    for node, port in node_ports.items():
        lines.append(
            f"NodeName={node} NodeHostname={host_name()} NodeAddr=127.0.0.1 Port={port} "
            "CPUs=4 RealMemory=2000 Gres=gpu:2"
        )
    lines.append("PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP")
    return "\n".join(lines) + "\n"


GRES_CONF = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"
CGROUP_CONF = {"22.05": "", "24.11": "CgroupPlugin=disabled\n"}
"""From 24.11, slurmd makes its own cgroup at its start, whatever the plugins are."""


def slurmdbd_conf(folder: Path, port: int, database_port: int) -> str:
    """Return the text of ``slurmdbd.conf``."""
    settings = {
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge/socket",
        "DbdHost": host_name(),
        "DbdAddr": "127.0.0.1",
        "DbdPort": port,
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "SlurmUser": "slurm",
        "PidFile": f"{folder}/ctld/slurmdbd.pid",
        "LogFile": f"{folder}/ctld/slurmdbd.log",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "127.0.0.1",
        "StoragePort": database_port,
        "StorageUser": "slurm",
        "StorageLoc": "slurm",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
