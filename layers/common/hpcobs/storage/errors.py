"""The driver's errors become the domain's, here and nowhere else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as pg

from hpcobs.domain.errors import InvalidInputError, UnavailableError
from hpcobs.storage.watch import HungError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def translated() -> Iterator[None]:
    """Run a storage call: a lost database is UnavailableError, bad data InvalidInputError.

    So is one that takes no writes: after a failover the old one may be there to read from only.
    """
    try:
        yield
    except pg.UniqueViolation:
        raise  # whoever may meet one knows what it means
    except (psycopg.DataError, psycopg.IntegrityError, pg.ProgramLimitExceeded) as error:
        raise InvalidInputError("body", "a value is out of its range") from error
    except (pg.QueryCanceled, pg.LockNotAvailable, HungError) as error:
        raise UnavailableError("the database took too long", deadline=True) from error
    except (psycopg.OperationalError, psycopg.InterfaceError, pg.ReadOnlySqlTransaction) as error:
        raise UnavailableError("the database is not available") from error
