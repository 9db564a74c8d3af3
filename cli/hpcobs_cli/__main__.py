"""``python -m hpcobs_cli``: the same as ``hpcobs``."""

from __future__ import annotations

from hpcobs_cli.main import app

app()
