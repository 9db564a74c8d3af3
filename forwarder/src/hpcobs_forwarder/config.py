"""The configuration: ``KEY=VALUE`` lines in a file, overridden by the environment.

The same file and names serve systemd's ``EnvironmentFile=`` and the hooks, which are shell scripts.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NODE = "node"
CONTROLLER = "controller"
ROLES = (NODE, CONTROLLER)

_FOR_HOOKS_ONLY = "HPCOBS_HOOK_POST"

T = TypeVar("T")


class ConfigError(ValueError):
    """A setting that cannot be used; the text is one line and names the variable."""


class Config(NamedTuple):
    """All settings of one forwarder. Sizes and times carry their unit in the name."""

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
    proxy: str | None = None
    gpus: str = "auto"
    root: str = "/"
    slurmrestd_url: str | None = None
    slurmrestd_version: str | None = None
    slurm_user: str = "slurm"
    slurm_token_file: str | None = None
    slurm_token_command: str | None = None


def default_path(role: str) -> str:
    """Where the configuration of ``role`` is kept."""
    return f"/etc/hpcobs/{role}.conf"


def load(role: str, path: str, environ: Mapping[str, str]) -> Config:
    """The configuration of ``role``; ConfigError if a setting is missing, wrong or unknown."""
    in_file = read_file(path)
    unknown = [name for name in in_file if name not in _SETTINGS and name != _FOR_HOOKS_ONLY]
    if unknown:
        raise ConfigError(f"{unknown[0]}: there is no such setting, but it is in {path}")
    values = {**in_file, **environ}
    given = {
        field: _parsed(name, parse, values[name])
        for name, (field, parse) in _SETTINGS.items()
        if values.get(name)
    }
    defaults: dict[str, Any] = {
        "url": "",
        "token_file": f"/etc/hpcobs/{role}.token",
        "spool_dir": f"/var/lib/hpcobs/{role}",
        "node": socket.gethostname().partition(".")[0],
        "interval_seconds": 10.0 if role == NODE else 30.0,
    }
    config = Config(role=role, **{**defaults, **given})
    if not config.url:
        raise ConfigError(f"HPCOBS_URL is not set, neither in {path} nor in the environment")
    return config


def read_file(path: str) -> dict[str, str]:
    """The settings in the file at ``path``; none if there is no such file."""
    try:
        with open(path, encoding="utf-8") as lines:
            return dict(_settings_in(lines.read().splitlines()))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _settings_in(lines: list[str]) -> list[tuple[str, str]]:
    settings = []
    for line in lines:
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
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
        raise ConfigError(f"{name}: {text!r} is not {error}") from error


def _seconds(text: str) -> float:
    return _number(text, 0.1, 86_400, "a number of seconds, 0.1 to 86400")


def _hours(text: str) -> float:
    return _number(text, 0.01, 10_000, "a number of hours, 0.01 to 10000")


def _megabytes(text: str) -> int:
    return int(_number(text, 1, 1_000_000, "a number of MiB, 1 to 1000000"))


def _number(text: str, least: float, most: float, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(what) from None
    if not least <= number <= most:
        raise ValueError(what)
    return number


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("a URL such as https://hpcobs.example.org")
    return text.rstrip("/")


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


def _path(text: str) -> str:
    if not os.path.isabs(text):
        raise ValueError("an absolute path")
    return text


_SETTINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "HPCOBS_URL": ("url", _url),
    "HPCOBS_TOKEN_FILE": ("token_file", _path),
    "HPCOBS_SPOOL_DIR": ("spool_dir", _path),
    "HPCOBS_NODE": ("node", str),
    "HPCOBS_CLUSTER_NAME": ("cluster_name", str),
    "HPCOBS_INTERVAL_SECONDS": ("interval_seconds", _seconds),
    "HPCOBS_PUSH_SECONDS": ("push_seconds", _seconds),
    "HPCOBS_SPOOL_MAX_MB": ("spool_max_mb", _megabytes),
    "HPCOBS_SPOOL_MAX_AGE_HOURS": ("spool_max_age_hours", _hours),
    "HPCOBS_SPOOL_FSYNC": ("spool_fsync", _switch),
    "HPCOBS_TEXTFILE": ("textfile", _path),
    "HPCOBS_TIMEOUT_SECONDS": ("timeout_seconds", _seconds),
    "HPCOBS_CA_FILE": ("ca_file", _path),
    "HPCOBS_PROXY": ("proxy", _url),
    "HPCOBS_GPUS": ("gpus", _gpus),
    "HPCOBS_ROOT": ("root", _path),
    "SLURM_BASE_URL": ("slurmrestd_url", _url),
    "SLURM_API_VERSION": ("slurmrestd_version", str),
    "SLURM_AUTH_USER": ("slurm_user", str),
    "SLURM_AUTH_TOKEN_FILE": ("slurm_token_file", _path),
    "SLURM_AUTH_TOKEN_COMMAND": ("slurm_token_command", str),
}
