"""Whatever clocks show and settings are, no sample within its limit is lost, and none is sealed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.retention.lasting import DAY, HOUR, LastingSite

if TYPE_CHECKING:
    from hpcobs.ports.retention import Held
    from hpcobs.service.retention import RetentionReport

# Between any two offsets lie four hours or more: less than three hours pass as lived through.
OFFSETS = [timedelta(0), *(sign * n * DAY for sign in (1, -1) for n in (0.5, 2, 9, 30, 800))]
SIDES = ("ours", "database")
offsets = st.sampled_from(OFFSETS)
ages = st.lists(
    st.integers(0, 12 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
    min_size=1,
    max_size=6,
)
action = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([HOUR / 2, HOUR, 5 * HOUR, DAY, 4 * DAY, 20 * DAY])),
    st.tuples(st.just("sample"), ages),
    st.tuples(st.just("both"), offsets),
    st.tuples(st.just("ours"), offsets),
    st.tuples(st.just("database"), offsets),
    st.tuples(st.just("days"), st.sampled_from([1, 2, 7, 30])),
    st.tuples(st.just("rollup_days"), st.sampled_from([2, 40, 400])),
    st.tuples(st.just("run"), st.integers(1, 3)),
)
WIDE = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def of_samples(report: RetentionReport) -> tuple[list[str], list[Held]]:
    """Return what is dropped and held of samples. The run itself may create months of roll-ups."""
    dropped = [name for name in report.dropped if "samples" in name]
    return dropped, [held for held in report.held if "rollups" not in held.table]


def deletions(report: RetentionReport) -> int:
    return len(report.dropped) + sum(report.deleted.values())


def act(site: LastingSite, name: str, value: object) -> None:
    if isinstance(value, timedelta):
        if name == "wait":
            site.wait(value)
        else:
            ours, database = (value if name in (one, "both") else DAY * 0 for one in SIDES)
            site.set_clocks(ours=ours, database=database)
    elif isinstance(value, list):
        site.sample(*value)
    elif name == "run":
        for _ in range(int(str(value))):
            planned = site.run(dry_run=True)
            report = site.run()
            assert of_samples(planned) == of_samples(report)
            assert site.ours == site.database or deletions(report) == 0
            assert len([one for one in report.dropped if "metric_samples" in one]) <= 1
            site.check()
    else:
        setattr(site, name, value)


@WIDE
@given(actions=st.lists(action, min_size=3, max_size=16))
def test_no_clock_costs_samples_within_limit(
    module_database_url: str, actions: list[tuple[str, object]]
) -> None:
    site = LastingSite(module_database_url)
    try:
        site.sample(timedelta(0), DAY, 3 * DAY, 6 * DAY)
        for name, value in [*actions, ("run", 2)]:
            act(site, name, value)
    finally:
        site.close()
