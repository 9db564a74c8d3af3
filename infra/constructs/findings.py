"""Findings of cdk-nag that are accepted, each on its construct and with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Acknowledgment, Validations

if TYPE_CHECKING:
    from constructs import IConstruct


def accept(construct: IConstruct, rule: str, *, because: str) -> None:
    """Accept the findings of the AwsSolutions ``rule`` on the construct and its children."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=because))
