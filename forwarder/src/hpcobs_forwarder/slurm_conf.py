"""Read slurm.conf, cgroup.conf and gres.conf as Slurm does.

The syntax is that of Slurm's own parser (slurm.conf(5), "DESCRIPTION" and "INCLUDE MODIFIERS"):
``Key=Value`` settings, keys in any case, values in double quotes where they contain spaces, ``#``
comments, lines that end in a backslash, and ``Include`` at the beginning of a line.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILES = (
    "etc/slurm/slurm.conf",
    "etc/slurm-llnl/slurm.conf",
    "opt/slurm/etc/slurm.conf",
    "usr/local/etc/slurm.conf",
    "run/slurm/conf/slurm.conf",
    "var/spool/slurmd/conf-cache/slurm.conf",
    "var/lib/slurm/slurmd/conf-cache/slurm.conf",
)
"""Where packages and builds from source have it, and where a configless slurmd keeps its copy."""

# Slurm's own expression for a setting (keyvalue_pattern in parse_config.c).
_SETTING = re.compile(
    r"[ \t\n\r\f\v]*([A-Za-z0-9_.]+)[ \t\n\r\f\v]*[-*+/]?=[ \t\n\r\f\v]*"
    r'(?:"([^"]*)"|([^ \t\n\r\f\v]+))(?=[ \t\n\r\f\v]|$)'
)
_INCLUDE = re.compile(r"include[ \t\n\r\f\v]+([^ \t\n\r\f\v]+)", re.IGNORECASE)
_COMMENT = re.compile(r"((?:[^#\\]|\\.)*)#.*")
_SECTIONS = frozenset(
    ("name", "nodename", "partitionname", "downnodes", "frontendname", "nodeset", "slurmctldhost")
)
"""Keys whose line describes one thing: the other settings of the line belong to it."""
_DEEPEST_INCLUDE = 10
_MAX_BYTES = 64 << 20
"""More than any real file. Reading stops there, since a path may lead to anything."""


class SlurmConf:
    """The file at ``path``: each setting's values, in order, by its name in lower case.

    ``lines`` holds the settings of each line that describes a node, partition or resource.
    ``includes`` names the files that were read in addition, ``unread`` those that could not be.
    """

    # No dataclass: its module would cost the daemon a megabyte.
    def __init__(self, path: str) -> None:
        """Read nothing yet."""
        self.path = path
        self.settings: dict[str, list[str]] = {}
        self.lines: list[dict[str, str]] = []
        self.includes: list[str] = []
        self.unread: list[str] = []

    def all(self, name: str) -> list[str]:
        """Return all values of the setting that are not empty, in their order."""
        return list(filter(None, self.settings.get(name.lower(), ())))

    def last(self, name: str) -> str | None:
        """Return the setting's value, or None without one. Of several, Slurm uses the last."""
        values = self.all(name)
        return values[-1] if values else None

    def describing(self, name: str) -> list[dict[str, str]]:
        """Return the settings of the lines that begin with ``name``, as ``NodeName``."""
        return [line for line in self.lines if next(iter(line)) == name.lower()]


def slurm_conf_paths(root: str) -> list[str]:
    """Return the paths at which slurm.conf is looked for, in their order."""
    usual = [f"{root.rstrip('/')}/{file}" for file in _FILES]
    return [*filter(None, [os.environ.get("SLURM_CONF")]), *usual]


def read_slurm_conf(root: str) -> SlurmConf | None:
    """Read the file in ``$SLURM_CONF``, else the first usual one. Return None without any."""
    return next(filter(None, map(read_conf, slurm_conf_paths(root))), None)


def read_conf(path: str) -> SlurmConf | None:
    """Read one of Slurm's configuration files. Return None if that is not possible."""
    conf = SlurmConf(path)
    return conf if _read(conf, path, depth=0) else None


def parsed(text: str) -> SlurmConf:
    """Return the settings in ``text``. Files that it includes are not read, but in ``unread``."""
    conf = SlurmConf("")
    for line in _lines(text):
        include = _INCLUDE.match(line)
        if include is None:
            _take(conf, line)
        else:
            conf.unread.append(include[1])
    return conf


def beside(conf: SlurmConf, name: str) -> str:
    """Return the path of another of Slurm's files, which are all in one folder."""
    return os.path.join(os.path.dirname(conf.path), name)


def cluster_name_in_slurm_conf(root: str) -> str | None:
    """Return ``ClusterName`` in lower case, as Slurm does, or None without one."""
    # The last choice. Hooks, samples and the controller role must send the same name. Each prefers
    # HPCOBS_CLUSTER_NAME, then the name that Slurm passes to it, which Slurm reads from this file.
    conf = read_slurm_conf(root)
    name = conf.last("ClusterName") if conf else None
    return name.lower() if name else None


def _read(conf: SlurmConf, path: str, *, depth: int) -> bool:
    text = _text(path)
    if text is None:
        return False
    for line in _lines(text):
        include = _INCLUDE.match(line)
        if include is None:
            _take(conf, line)
            continue
        # %c stands for the cluster's name. Slurm refuses a pattern, as a file of that name.
        name = include[1].replace("%c", (conf.last("ClusterName") or "").lower())
        included = os.path.join(os.path.dirname(conf.path), name)
        # A file that includes itself would be read for ever.
        read = depth < _DEEPEST_INCLUDE and _read(conf, included, depth=depth + 1)
        (conf.includes if read else conf.unread).append(included)
    return True


def _text(path: str) -> str | None:
    """Return the text of a file with U+FFFD for what is not UTF-8, or None."""
    try:
        # The first check is for named pipes: to open one waits for a writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", errors="replace")
    except (OSError, ValueError):  # ValueError: a path with a NUL byte
        return None


def _lines(text: str) -> Iterator[str]:
    """Yield the logical lines, without comments, and joined where one ends in a backslash."""
    joined = ""
    for physical in text.split("\n"):
        line = physical.partition("\0")[0]  # Slurm reads C strings
        comment = _COMMENT.fullmatch(line)
        line = comment[1] if comment else line
        bare = line.rstrip()
        if (len(bare) - len(bare.rstrip("\\"))) % 2:
            joined += bare[:-1]
            continue
        yield re.sub(r"\\(.)", r"\1", joined + line)
        joined = ""
    yield joined


def _take(conf: SlurmConf, line: str) -> None:
    """Add the settings of one line. Slurm refuses a second setting, except on a section's line."""
    found: dict[str, str] = {}
    position = 0
    while (match := _SETTING.match(line, position)) is not None:
        name, quoted, plain = match.groups()
        found[name.lower()] = quoted if quoted is not None else plain
        position = match.end()
    if not found:
        return
    name, value = next(iter(found.items()))
    if name in _SECTIONS:
        conf.lines.append(found)
    else:
        conf.settings.setdefault(name, []).append(value)
