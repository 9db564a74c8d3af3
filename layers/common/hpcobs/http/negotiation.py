"""What a client prefers: ``Accept`` and ``Accept-Encoding`` with q-values (RFC 9110, 12.4)."""

from __future__ import annotations


def qualities(header: str | None) -> dict[str, float]:
    """Each named choice, lower case and without parameters, with its highest quality."""
    found: dict[str, float] = {}
    for item in (header or "").split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        if name:
            found[name] = max(_quality(parameters), found.get(name, 0.0))
    return found


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return _number(value)
    return 1.0


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= 1.0 else 0.0


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether gzip is welcome, and not less so than no coding at all."""
    wanted = qualities(accept_encoding)
    gzip = max(wanted.get("gzip", wanted.get("*", 0.0)), wanted.get("x-gzip", 0.0))
    return gzip > 0 and gzip >= wanted.get("identity", 0.0)


OPENMETRICS = "application/openmetrics-text"


def prefers_openmetrics(accept: str | None) -> bool:
    """Whether OpenMetrics is asked for by name, and not less than Prometheus's own text."""
    wanted = qualities(accept)
    openmetrics = wanted.get(OPENMETRICS, 0.0)
    return openmetrics > 0 and openmetrics >= wanted.get("text/plain", 0.0)
