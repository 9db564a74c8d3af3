"""Paths within the repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
SITES = ROOT / "sites"
FUNCTIONS = ROOT / "functions"
LAYER = ROOT / "layers" / "common"
LAYER_LOCK = ROOT / "lock" / "layer.txt"
CERTIFICATES = ROOT / "infra" / "certificates" / "rds.pem"
AMAZON_CERTIFICATES = ROOT / "infra" / "certificates" / "amazon.pem"
