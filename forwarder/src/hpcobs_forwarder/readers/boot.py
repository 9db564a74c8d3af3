"""Which boot of the node this is."""

from __future__ import annotations

from hpcobs_forwarder.readers import files


def boot_id(root: str) -> str:
    """The kernel's random name for this boot; empty where it has none."""
    try:
        return files.read(f"{root}/proc/sys/kernel/random/boot_id").decode().strip()
    except OSError:
        return ""
