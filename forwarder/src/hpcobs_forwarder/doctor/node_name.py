"""Check that the forwarder and Slurm call this node by one name."""

from __future__ import annotations

import itertools
import socket
from typing import TYPE_CHECKING

from hpcobs_forwarder.daemon.config import NODE, default_path
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.node.hostlist import expand
from hpcobs_forwarder.slurm_conf import read_slurm_conf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpcobs_forwarder.daemon.config import Config
    from hpcobs_forwarder.node.records import Records
    from hpcobs_forwarder.slurm_conf import SlurmConf

_MOST_NAMES = 65_536
"""Slurm's own limit for the nodes of a cluster (MAX_SLURM_NODES)."""

_DYNAMIC = ("MaxNodeCount", "NodeSet")
"""Settings of clusters whose nodes may register without a NodeName line."""


def examine(config: Config, records: Records) -> Iterator[Finding]:
    """Compare the node's name with those in the Prologs' records, else with slurm.conf."""
    recorded = sorted({one.node for one in records.all() if isinstance(one.node, str) and one.node})
    if recorded:
        if config.node in recorded:
            yield ok(f"Slurm's Prolog calls this node {config.node}")
        else:
            yield another_name(recorded[0], config.node)
        return
    conf = read_slurm_conf(config.root)
    if conf is not None:
        yield from _in_slurm_conf(conf, config.node)


def another_name(slurms: str, ours: str) -> Finding:
    """Return the finding that Slurm has another name for this node."""
    return failure(
        f"Slurm calls this node {slurms}, the forwarder calls it {ours}",
        f"set HPCOBS_NODE={slurms} in {default_path(NODE)}",
    )


def _in_slurm_conf(conf: SlurmConf, ours: str) -> Iterator[Finding]:
    lines = [line for line in conf.describing("NodeName") if line["nodename"].lower() != "default"]
    here = _names_of_host(lines, socket.gethostname())
    if ours in here:
        yield ok(f"slurm.conf calls this node {ours}")
    elif len(here) == 1:
        yield another_name(here[0], ours)
    elif here:
        yield failure(
            f"slurm.conf has the nodes {', '.join(here[:8])} on this host, the forwarder calls it "
            f"{ours}",
            f"set HPCOBS_NODE to one of them in {default_path(NODE)}",
        )
    elif any(ours in _names(line["nodename"]) for line in lines):
        yield ok(f"slurm.conf has the node {ours}")
    elif lines and not any(conf.last(setting) for setting in _DYNAMIC):
        yield warning(
            f"{conf.path} has no NodeName for this host: neither {ours} nor {socket.gethostname()}",
            f"set HPCOBS_NODE in {default_path(NODE)} to this node's NodeName (scontrol show nodes "
            "lists them)",
        )


def _names_of_host(lines: Sequence[dict[str, str]], host: str) -> list[str]:
    """Return the NodeNames of this host, as slurmd finds its own: the closest match decides."""
    short = host.partition(".")[0]
    pairs = [
        pair
        for line in lines
        for pair in _pairs(line["nodename"], line.get("nodehostname", line["nodename"]))
    ]
    return (
        [node for node, of_host in pairs if of_host == short]
        or [node for node, of_host in pairs if of_host == host]
        # An alias, which slurmd looks up in the host's database.
        or [node for node, name in pairs if "." in name and name.partition(".")[0] == short]
    )


def _pairs(nodes: str, hosts: str) -> Iterator[tuple[str, str]]:
    listed = _names(hosts)
    if len(listed) == 1:  # several slurmd on one host
        return zip(_names(nodes), itertools.repeat(listed[0]))
    return zip(_names(nodes), listed)


def _names(text: str) -> list[str]:
    """Return the names in a list. One that Slurm cannot parse either stays as it is."""
    try:
        return expand(text, _MOST_NAMES)
    except ValueError:
        return [text]
