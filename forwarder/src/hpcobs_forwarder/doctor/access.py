"""Check who may read, change and run files: by their owner, group and mode."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.daemon.config import NODE, default_path
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.slurm_conf import read_slurm_conf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config

_SLURM_USER = "slurm"


class _Service(NamedTuple):
    """The user that runs the forwarder and its hooks, and the groups that may read its files."""

    user: str
    owners: frozenset[int]
    groups: frozenset[int]


def examine(config: Config, path: str | None = None) -> Iterator[Finding]:
    """Check the files of the role: its configuration, its keys and its spool."""
    service = _service(config)
    yield from _unchanged_by_others(path or default_path(config.role), service)
    secrets = (config.client_cert_file, config.slurm_token_file)
    for secret in filter(None, secrets):
        yield from secret_file(config, secret, "the file")
    yield from _spool(config, service)


def secret_file(config: Config, path: str, what: str) -> Iterator[Finding]:
    """Check that only the service's user can read and change a file with a secret."""
    service = _service(config)
    try:
        status = os.stat(path)
    except OSError:
        return  # reported by those that read it
    mode = stat.S_IMODE(status.st_mode)
    owner = "" if service.user == "root" else f"chown {service.user} {path}; "
    fix = f"{owner}chmod 600 {path}; then replace what it contains, as others could read it"
    if status.st_uid not in service.owners:
        yield failure(
            f"{what} {path} belongs to {_user_name(status.st_uid)}, not to {service.user}",
            f"chown {service.user} {path}; chmod 600 {path}",
        )
    if mode & 0o007:
        yield failure(f"{what} {path} has mode {mode:o}: all users can read it", fix)
    elif mode & 0o070 and (status.st_gid not in service.groups or mode & 0o020):
        yield failure(
            f"{what} {path} has mode {mode:o}: group {_group_name(status.st_gid)} can use it", fix
        )
    elif status.st_uid in service.owners:
        yield ok(f"{what} {path} has mode {mode:o}")
    yield from _folder(path)


def may_run(path: str, user: str | None) -> bool:
    """Return whether ``user`` (None: root) can run a file, as far as modes show it."""
    if os.geteuid() != 0 or user in {None, "root"}:
        return os.access(path, os.X_OK)
    try:
        entry = pwd.getpwnam(str(user))
        groups = set(os.getgrouplist(entry.pw_name, entry.pw_gid))
        real = os.path.realpath(path)
        # A hook is a script: its interpreter has to read it.
        return _allowed(real, entry.pw_uid, groups, 0o5) and all(
            _allowed(folder, entry.pw_uid, groups, 0o1) for folder in _folders(real)
        )
    except (KeyError, OSError):
        return os.access(path, os.X_OK)


def _allowed(path: str, uid: int, groups: set[int], bits: int) -> bool:
    status = os.stat(path)
    if status.st_uid == uid:
        bits <<= 6
    elif status.st_gid in groups:
        bits <<= 3
    return status.st_mode & bits == bits


def _folders(path: str) -> Iterator[str]:
    while path != "/":
        path = os.path.dirname(path)
        yield path


def _service(config: Config) -> _Service:
    if config.role == NODE:
        return _Service("root", frozenset({0, os.geteuid()}), frozenset({0, os.getegid()}))
    conf = read_slurm_conf(config.root)
    user = (conf.last("SlurmUser") if conf else None) or _SLURM_USER
    try:
        entry = pwd.getpwnam(user.partition("(")[0])
    except KeyError:
        return _Service(user, frozenset({0, os.geteuid()}), frozenset({0, os.getegid()}))
    owners = frozenset({0, entry.pw_uid, os.geteuid()})
    return _Service(entry.pw_name, owners, frozenset({0, entry.pw_gid, os.getegid()}))


def _unchanged_by_others(path: str, service: _Service) -> Iterator[Finding]:
    try:
        status = os.stat(path)
    except OSError:
        return  # the defaults and the environment are enough
    if not stat.S_ISREG(status.st_mode):
        return
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in service.owners or mode & 0o022:
        yield failure(
            f"the configuration {path} belongs to {_user_name(status.st_uid)} and has mode "
            f"{mode:o}: others can send the token elsewhere",
            f"chown root {path}; chmod 644 {path}",
        )
    else:
        yield ok(f"the configuration {path} has mode {mode:o}")
    yield from _folder(path)


def _folder(path: str) -> Iterator[Finding]:
    folder = os.path.dirname(path) or "/"
    try:
        mode = stat.S_IMODE(os.stat(folder).st_mode)
    except OSError:
        return
    if mode & 0o022 and not mode & stat.S_ISVTX:
        yield failure(
            f"{folder} has mode {mode:o}: others can replace {os.path.basename(path)}",
            f"chown root {folder}; chmod 755 {folder}",
        )


def _spool(config: Config, service: _Service) -> Iterator[Finding]:
    folder = config.spool_dir
    try:
        status = os.stat(folder)
    except OSError:
        return  # a finding of `spool`
    mode = stat.S_IMODE(status.st_mode)
    fix = f"chown {service.user} {folder}; chmod 700 {folder}"
    if status.st_uid not in service.owners or mode & 0o022:
        yield failure(
            f"the spool {folder} belongs to {_user_name(status.st_uid)} and has mode {mode:o}: "
            "others can send events by it",
            fix,
        )
    elif mode & 0o055:
        yield warning(
            f"the spool {folder} has mode {mode:o}: others can read which jobs run here", fix
        )
    else:
        yield ok(f"the spool {folder} has mode {mode:o}")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
