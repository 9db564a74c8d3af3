"""The configuration: ``KEY=VALUE`` lines in a file, overridden by the environment.

The hooks, which are shell scripts, read the same file, and systemd can by ``EnvironmentFile=``.
"""

from __future__ import annotations

import os
import shlex
import socket
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from hpcobs_forwarder import cluster_names, node_names
from hpcobs_forwarder.cluster_names import is_cluster_name
from hpcobs_forwarder.node_names import is_node_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

NODE = "node"
CONTROLLER = "controller"
ROLES = (NODE, CONTROLLER)

_FOR_HOOKS_ONLY = "HPCOBS_HOOK_POST"
_LONGEST_LABEL = 63
"""Limit for a label of a host name (RFC 1035, 2.3.4). Longer ones fail in Python's IDNA codec."""

T = TypeVar("T")


class ConfigError(ValueError):
    """A setting cannot be used. The text is one line and names the variable."""


class Config(NamedTuple):
    """All settings of one forwarder. Sizes and times have their unit in the name."""

    role: str
    url: str
    token_file: str
    spool_dir: str
    node: str
    cluster_name: str | None = None
    interval_seconds: float = 10.0
    push_seconds: float = 30.0
    spool_max_mb: int = 256
    spool_max_age_hours: float = 168.0
    spool_fsync: bool = True
    textfile: str | None = None
    timeout_seconds: float = 10.0
    ca_file: str | None = None
    client_cert_file: str | None = None
    proxy: str | None = None
    gpus: str = "auto"
    root: str = "/"
    slurmrestd_url: str | None = None
    slurmrestd_version: str | None = None
    slurm_user: str = "slurm"
    slurm_token_file: str | None = None
    slurm_token_command: str | None = None
    fallback_dir: str = ""


def default_path(role: str) -> str:
    """Return the default path of the configuration file of ``role``."""
    return f"/etc/hpcobs/{role}.conf"


def unit_of(role: str) -> str:
    """Return the name of the systemd unit of ``role``."""
    return "hpcobs-forwarder" if role == NODE else f"hpcobs-forwarder-{role}"


def load(role: str, path: str, environ: Mapping[str, str]) -> Config:
    """Return the configuration of ``role``. Raise ConfigError if a setting is wrong or unknown."""
    in_file = read_file(path)
    # An unknown setting is a misspelt one: its default would be used without a notice.
    unknown = [name for name in in_file if name not in _SETTINGS and name != _FOR_HOOKS_ONLY]
    if unknown:
        raise ConfigError(f"{unknown[0]}: there is no such setting, remove it from {path}")
    # A hook returns 0 whatever happens, so a wrong value has to be reported here.
    _parsed(_FOR_HOOKS_ONLY, _switch, in_file.get(_FOR_HOOKS_ONLY) or "yes")
    given = {
        field: _parsed(name, parse, value)
        for name, (field, parse) in _SETTINGS.items()
        for value in [environ.get(name) or in_file.get(name)]
        if value
    }
    defaults: dict[str, Any] = {
        "url": "",
        "token_file": f"/etc/hpcobs/{role}.token",
        "spool_dir": f"/var/lib/hpcobs/{role}",
        "fallback_dir": f"/run/hpcobs/{role}",
        "node": socket.gethostname().partition(".")[0],
        "interval_seconds": 10.0 if role == NODE else 30.0,
    }
    return Config(role=role, **{**defaults, **given})


def require_url(config: Config, path: str) -> None:
    """Raise ConfigError without a URL. ``load`` accepts that: only commands that send need one."""
    if not config.url:
        raise ConfigError(f"HPCOBS_URL is not set, neither in {path} nor in the environment")


def read_file(path: str) -> dict[str, str]:
    """Return the settings in the file at ``path``, or none if there is no such file."""
    try:
        with open(path, encoding="utf-8") as lines:
            return dict(_settings_in(lines.read().splitlines()))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{path}, {error}") from error


def _settings_in(lines: list[str]) -> list[tuple[str, str]]:
    settings = []
    for number, line in enumerate(map(str.strip, lines), 1):
        name, equals, value = line.partition("=")
        if not line or line.startswith("#"):
            continue
        if not equals:
            raise ValueError(f"line {number}: {line!r} is neither KEY=VALUE nor a # comment")
        settings.append((name, _unquoted(value)))
    return settings


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _parsed(name: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        shown = f"…@{text.rpartition('@')[2]}" if "@" in text else text  # no password in a log
        raise ConfigError(f"{name}: {shown!r} is not {error}") from error


def _seconds(text: str) -> float:
    return _number(text, 0.1, 86_400, "a number of seconds, 0.1 to 86400")


def _hours(text: str) -> float:
    return _number(text, 0.01, 10_000, "a number of hours, 0.01 to 10000")


def _megabytes(text: str) -> int:
    return int(_number(text, 1, 1_000_000, "a number of MiB, 1 to 1000000"))


def _number(text: str, least: float, most: float, expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(expected) from None
    if not least <= number <= most:
        raise ValueError(expected)
    return number


def _url(text: str) -> str:
    parts = _address(text, {"http", "https"})
    if parts is None or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("a URL such as https://hpcobs.example.org")
    return text.rstrip("/")


def _proxy(text: str) -> str:
    parts = _address(text, {"http"})
    if parts is None or not parts.port or parts.path.strip("/"):
        raise ValueError("a proxy such as http://proxy.example.org:3128")
    return text


def _address(text: str, schemes: set[str]) -> SplitResult | None:
    """Return the parts of a URL with a valid host name, or None."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises ValueError if it is no number
    except ValueError:
        return None
    labels = (parts.hostname or "").split(".")
    named = all(0 < len(label) <= _LONGEST_LABEL for label in labels)
    plain = text.isascii() and text.isprintable() and " " not in text
    return parts if parts.scheme in schemes and named and plain else None


def _switch(text: str) -> bool:
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    try:
        return known[text.lower()]
    except KeyError:
        raise ValueError("yes or no") from None


def _gpus(text: str) -> str:
    if text not in {"auto", "nvidia", "amd", "none"}:
        raise ValueError("auto, nvidia, amd or none")
    return text


def _node(text: str) -> str:
    if not is_node_name(text):
        raise ValueError(f"a node's name of at most {node_names.LONGEST} characters, as in Slurm")
    return text


def _cluster(text: str) -> str:
    if not is_cluster_name(text):
        most = cluster_names.LONGEST
        raise ValueError(f"a cluster's name: at most {most} letters, digits, _ and -")
    return text


def _command(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    if not words:
        raise ValueError("a command such as /usr/bin/scontrol token lifespan=3600")
    return text


def _path(text: str) -> str:
    if not os.path.isabs(text):
        raise ValueError("an absolute path")
    return text


_SETTINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "HPCOBS_URL": ("url", _url),
    "HPCOBS_TOKEN_FILE": ("token_file", _path),
    "HPCOBS_SPOOL_DIR": ("spool_dir", _path),
    "HPCOBS_FALLBACK_DIR": ("fallback_dir", _path),
    "HPCOBS_NODE": ("node", _node),
    "HPCOBS_CLUSTER_NAME": ("cluster_name", _cluster),
    "HPCOBS_INTERVAL_SECONDS": ("interval_seconds", _seconds),
    "HPCOBS_PUSH_SECONDS": ("push_seconds", _seconds),
    "HPCOBS_SPOOL_MAX_MB": ("spool_max_mb", _megabytes),
    "HPCOBS_SPOOL_MAX_AGE_HOURS": ("spool_max_age_hours", _hours),
    "HPCOBS_SPOOL_FSYNC": ("spool_fsync", _switch),
    "HPCOBS_TEXTFILE": ("textfile", _path),
    "HPCOBS_TIMEOUT_SECONDS": ("timeout_seconds", _seconds),
    "HPCOBS_CA_FILE": ("ca_file", _path),
    "HPCOBS_CLIENT_CERT_FILE": ("client_cert_file", _path),
    "HPCOBS_PROXY": ("proxy", _proxy),
    "HPCOBS_GPUS": ("gpus", _gpus),
    "HPCOBS_ROOT": ("root", _path),
    "SLURM_BASE_URL": ("slurmrestd_url", _url),
    "SLURM_API_VERSION": ("slurmrestd_version", str),
    "SLURM_AUTH_USER": ("slurm_user", str),
    "SLURM_AUTH_TOKEN_FILE": ("slurm_token_file", _path),
    "SLURM_AUTH_TOKEN_COMMAND": ("slurm_token_command", _command),
}
