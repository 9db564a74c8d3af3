"""Storing a drain of which the database may refuse something: one bad sample costs only itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hpcobs.domain.errors import DomainError, UnavailableError
from hpcobs.ports.samples import WriteBatch
from hpcobs.service.write_batches import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.domain.samples import Stored
    from hpcobs.ports.samples import SampleWriter

logger = logging.getLogger(__name__)


def store(drain: WriteBatch, sink: SampleWriter, *, searching: Callable[[], None]) -> Stored:
    """Store all at once; if the database refuses, by halves, until what it refuses is set aside.

    ``searching`` is called before each halving, which takes time. UnavailableError if the database
    is away: what was stored until then counts once when it comes again.
    """
    try:
        return sink.store(drain)
    except UnavailableError:
        raise
    except DomainError as error:
        if len(drain) <= 1:
            return _set_aside(drain, sink, error)
    searching()
    first, second = drain.halves()
    return store(first, sink, searching=searching) + store(second, sink, searching=searching)


def _set_aside(drain: WriteBatch, sink: SampleWriter, error: DomainError) -> Stored:
    logger.error("the database refused %s: %s", drain, error)
    why = f"the database refused it: {error.details.get('reason', error)}"
    rejected = [refused(sample, why) for sample in drain.samples]
    return sink.store(WriteBatch(samples=[], hosts=[], rejected=rejected))
