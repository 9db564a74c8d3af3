"""The domain's errors. One table at the HTTP edge turns them into answers."""

from __future__ import annotations


class DomainError(Exception):
    """Base of all that can go wrong with a well-formed request; ``message`` is safe for clients."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidInputError(DomainError):
    """A value breaks a rule; ``field`` says which one."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}", field=field, reason=message)
        self.field = field


class InvalidStateError(InvalidInputError):
    """A state is unknown, or not allowed where it was given."""


class MissingAuditInfoError(InvalidInputError):
    """A change came without saying who makes it."""


class NotFoundError(DomainError):
    """What was asked for is not there, or not for this caller to see."""


class JobNotFoundError(NotFoundError):
    """No such job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} not found", job_id=job_id)


class AlreadyExistsError(DomainError):
    """A job with this id exists already."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} already exists", job_id=job_id)


class JobTerminalError(DomainError):
    """The job has ended, and what has ended does not change."""

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"job {job_id} has ended ({state}) and cannot change", job_id=job_id)


class UnavailableError(DomainError):
    """The database or the queue cannot be reached now; the caller may try again.

    ``deadline`` tells a run-out time limit from a lost connection.
    """

    def __init__(
        self, message: str, *, retry_after_seconds: int = 5, deadline: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.deadline = deadline


class UnauthorizedError(DomainError):
    """No valid token came with the request."""


class ForbiddenError(DomainError):
    """The token is valid but does not allow this."""
