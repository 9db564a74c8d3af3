"""The ``rotate`` function: ``functions.rotate.handler.lambda_handler``.

Secrets Manager calls it, once for each step of a rotation.
"""

from __future__ import annotations

from typing import Any

from hpcobs import bootstrap


def lambda_handler(event: dict[str, Any], context: Any) -> None:
    """Do one step of the rotation of the signing key."""
    bootstrap.rotation().step(
        event["Step"], secret=event["SecretId"], version=event["ClientRequestToken"]
    )
