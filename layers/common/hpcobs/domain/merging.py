"""Joining what is known of a job with what was just heard, field by field."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from hpcobs.domain.jobs import Resources, SchedulerInfo

    T = TypeVar("T", Resources, SchedulerInfo)

_UNKNOWN = (None, ())


def filled(known: T, heard: T) -> T:
    """``known``, with what it lacks (None or empty) taken from ``heard``."""
    missing = {
        field.name: getattr(heard, field.name)
        for field in fields(known)
        if getattr(known, field.name) in _UNKNOWN
    }
    return replace(known, **missing)


def overridden(known: T, heard: T) -> T:
    """``known``, with all that ``heard`` says (neither None nor empty) taken over."""
    return filled(heard, known)


def filled_scheduler(
    known: SchedulerInfo | None, heard: SchedulerInfo | None
) -> SchedulerInfo | None:
    """As ``filled``, where either side may know nothing at all."""
    if known is None or heard is None:
        return known or heard
    return filled(known, heard)
