"""Find out the version of Slurm's commands on this host."""

from __future__ import annotations

import re
from typing import Tuple

from hpcobs_forwarder.controller.process import run
from hpcobs_forwarder.controller.source import SourceError

_NUMBERS = re.compile(r"\b(\d{1,4})\.(\d{1,4})\b")

Version = Tuple[int, int]


def slurm_version() -> Version | None:
    """Return the version, as (22, 5), or None if ``scontrol`` cannot be run here."""
    try:
        return version_in(run(["scontrol", "--version"]).decode("utf-8", errors="replace"))
    except SourceError:
        return None


def version_in(text: str) -> Version | None:
    """Return the first version in a text such as ``slurm-wlm 22.05.8``, or None."""
    match = _NUMBERS.search(text)
    return (int(match[1]), int(match[2])) if match else None
