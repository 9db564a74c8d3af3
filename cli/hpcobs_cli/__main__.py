"""Run the ``hpcobs`` command by ``python -m hpcobs_cli``."""

from __future__ import annotations

from hpcobs_cli.main import app

app()
