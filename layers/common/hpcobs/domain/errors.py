"""The domain's errors. One table in ``hpcobs.http`` maps them to responses."""

from __future__ import annotations


class DomainError(Exception):
    """Base of all errors of a well-formed request. ``message`` is safe to show to clients."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidInputError(DomainError):
    """A value breaks a rule. ``field`` names the value."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}", field=field, reason=message)
        self.field = field


class InvalidStateError(InvalidInputError):
    """A state is unknown, or not allowed in this field."""


class MissingAuditInfoError(InvalidInputError):
    """A change has no author."""


class NotFoundError(DomainError):
    """The requested object does not exist, or this caller must not see it."""


class JobNotFoundError(NotFoundError):
    """There is no such job, or this caller must not see it."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} not found", job_id=job_id)


class AlreadyExistsError(DomainError):
    """A job with this id exists already."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} already exists", job_id=job_id)


class JobTerminalError(DomainError):
    """The job has ended and can no longer change."""

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"job {job_id} has ended ({state}) and cannot change", job_id=job_id)


class UnavailableError(DomainError):
    """The database or the queue cannot be reached now. The caller may retry.

    ``deadline`` is True for an exceeded time limit, False for a lost connection. ``cause`` is for
    operators: it is in the text of the error, which is logged, and not in ``message``.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: int = 5,
        deadline: bool = False,
        cause: str | None = None,
    ) -> None:
        super().__init__(message)
        self.cause = cause
        if cause is not None:
            self.args = (f"{message}: {cause}",)
        self.retry_after_seconds = retry_after_seconds
        self.deadline = deadline


class UnauthorizedError(DomainError):
    """The request has no valid token."""


class ForbiddenError(DomainError):
    """The token is valid but does not allow this."""
