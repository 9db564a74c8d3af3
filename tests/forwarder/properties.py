"""Settings of the property tests: a busy machine is slow, which is no failure."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

patient = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
