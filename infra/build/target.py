"""The target that code is built for: a Python version, and a platform that wheels must fit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``python`` is such as ``3.13``, ``platform`` as uv's ``--python-platform`` expects it."""

    python: str
    platform: str


LAMBDA = Target(python="3.13", platform="aarch64-manylinux_2_34")
"""Amazon Linux 2023 on Graviton. psycopg has no wheels for older platforms."""
