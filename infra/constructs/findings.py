"""Findings of cdk-nag that are accepted, each on its construct and with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Acknowledgment, Validations

if TYPE_CHECKING:
    from constructs import IConstruct


def accept(construct: IConstruct, rule: str, *, because: str) -> None:
    """Accept what ``rule`` of AwsSolutions finds on the construct or within it."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=because))
