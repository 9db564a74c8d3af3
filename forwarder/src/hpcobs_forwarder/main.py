"""The command line: ``hpcobs-forwarder [run|doctor|jobs]``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from hpcobs_forwarder import __version__
from hpcobs_forwarder.daemon.config import (
    NODE,
    ROLES,
    Config,
    ConfigError,
    default_path,
    load,
    require_url,
)
from hpcobs_forwarder.daemon.signals import Signals
from hpcobs_forwarder.spool.spool import SpoolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.compose import Kept

_log = logging.getLogger(__name__)

_USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args(arguments)
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        return _run(options)
    except (ConfigError, SpoolError) as error:
        _log.error("%s", error)
        return _USAGE_ERROR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hpcobs-forwarder",
        description="Samples the jobs on this node and sends the samples to an hpcobs site.",
    )
    add = parser.add_argument
    add(
        "command",
        nargs="?",
        default="run",
        choices=("run", "doctor", "jobs"),
        help="run: the daemon; doctor: show what works, what is missing and how to fix it; "
        "jobs: show what each job on this node uses now",
    )
    add(
        "--role",
        choices=ROLES,
        default=os.environ.get("HPCOBS_ROLE") or NODE,
        help="node: sample the jobs on this node (the default); "
        "controller: report slurmctld's jobs and nodes",
    )
    add("--config", metavar="FILE", help="default: /etc/hpcobs/ROLE.conf")
    add("--once", action="store_true", help="make one pass, send all queued entries, and exit")
    add("--dry-run", action="store_true", help="print one batch without sending it, and exit")
    add("--sysfs-root", metavar="DIR", help="read DIR/sys and DIR/proc, for tests")
    add("--verbose", action="store_true", help="log debug messages too")
    add("--version", action="version", version=__version__, help="print the version and exit")
    return parser


def _config(options: argparse.Namespace) -> Config:
    """Return the configuration. Raise ConfigError if it is wrong or lacks a URL to send to."""
    path = options.config or default_path(options.role)
    config = load(options.role, path, os.environ)
    if _sends(options):
        require_url(config, path)
    return config._replace(root=options.sysfs_root) if options.sysfs_root else config


def _sends(options: argparse.Namespace) -> bool:
    return options.command == "run" and not options.dry_run


def _run(options: argparse.Namespace) -> int:
    config = _config(options)
    if not _sends(options):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # else `| head` ends in a traceback
    if options.command == "doctor":
        # Imports of commands are here: the daemon should not pay memory for them.
        from hpcobs_forwarder.doctor import report

        return report(config, options.config)
    if options.command == "jobs" or options.dry_run or options.once:
        from hpcobs_forwarder import single

        if options.command == "jobs":
            return single.show_jobs(config)
        return single.dry_run(config) if options.dry_run else single.once(config)
    return _serve(options, config)


def _serve(options: argparse.Namespace, config: Config) -> int:
    from hpcobs_forwarder.compose import Kept

    signals = Signals()
    signals.install()
    _log.info("hpcobs-forwarder %s: %s of %s", __version__, config.role, config.node)
    kept = Kept()
    try:
        _run_until_stopped(options, config, signals, kept)
    finally:
        kept.end()
    _log.info("stopped")
    return 0


def _run_until_stopped(
    options: argparse.Namespace, config: Config, signals: Signals, kept: Kept
) -> None:
    from hpcobs_forwarder.compose import Parts

    before: Config | None = None
    while not signals.stop:
        try:
            Parts(config, signals=signals, kept=kept).forwarder().run(signals)
        except SpoolError as error:
            if before is None:
                raise
            # Each configuration opens its own spool. After a reload the new folder may be wrong.
            _log.error("the old configuration stays in use: %s", error)
            config, before = before, None
            continue
        if signals.reload:
            signals.reload = False
            config, before = _reloaded(options, config), config


def _reloaded(options: argparse.Namespace, config: Config) -> Config:
    """Return the configuration as it is in the file now, or the old one if that is wrong."""
    try:
        config = _config(options)
    except ConfigError as error:
        _log.error("the old configuration stays in use: %s", error)
    else:
        _log.info("the configuration was reloaded")
    return config
