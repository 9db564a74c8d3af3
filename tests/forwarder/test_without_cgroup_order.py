"""Records, cgroups and Epilogs in any order: no idle sample of a job that is not idle here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forwarder.held import SLUID, Held, is_idle
from tests.forwarder.properties import patient
from tests.forwarder.trees import V2Job

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.daemon.health import Health

SECONDS = 200


class Life:
    """One job id's life on a node, step by step, and whether an idle sample would be false."""

    def __init__(self, node: Held) -> None:
        self._node = node
        self._cgroups: dict[str, V2Job] = {}
        self._record: Path | None = None
        self._began = 0.0
        self._is_seen = self._is_ended = False

    def prolog(self, **fields: str) -> None:
        self._record = self._node.prolog(ago=0, **fields)
        self._began = self._node.clock.up
        self._is_seen, self._is_ended = bool(self._cgroups), False

    def prolog_with_sluid(self) -> None:
        self.prolog(sluid=SLUID)

    def cgroup(self, name: str = "job_7") -> None:
        self._cgroups[name] = V2Job(self._node.root, name)
        self._is_seen = True

    def cgroup_of_sluid(self) -> None:
        self.cgroup(SLUID)

    def vanish(self) -> None:
        for job in self._cgroups.values():
            job.vanish()
        self._cgroups.clear()

    def event(self) -> None:
        self._node.epilog()
        self._is_ended = True

    def epilog(self) -> None:
        if self._record is not None:
            self._record.unlink()
        self._record = None

    def restart(self) -> None:
        self._node.restart()

    def wait(self) -> None:
        """Do nothing until the next pass."""

    def may_be_idle(self) -> bool:
        is_late = self._node.clock.up - self._began >= 300
        return is_late and self._record is not None and not (self._is_seen or self._is_ended)


STEPS = [
    *("prolog", "prolog_with_sluid", "cgroup", "cgroup_of_sluid", "vanish"),
    *("event", "epilog", "restart", "wait"),
]
lives = st.lists(st.sampled_from(STEPS), max_size=10)
# The steps of one run, in any order.
runs = st.sampled_from(["cgroup", "cgroup_of_sluid"]).flatmap(
    lambda cgroup: st.permutations([cgroup, "vanish", "prolog", "restart"])
)


@settings(patient, max_examples=100)
@given(lives | runs)
def test_no_order_gives_false_idle_sample(
    tmp_path_factory: pytest.TempPathFactory, health: Health, steps: list[str]
) -> None:
    node = Held(tmp_path_factory.mktemp("node"), health)
    life = Life(node)
    for step in [*steps, *["wait"] * 4]:
        getattr(life, step)()
        may_be_idle = life.may_be_idle()
        idle = [sample for sample in node.take(after=SECONDS) if is_idle(sample)]
        assert may_be_idle or idle == []


@settings(patient, max_examples=30)
@given(st.permutations(["wait", "restart", "prolog", "epilog"]))
def test_held_job_is_seen_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, health: Health, steps: list[str]
) -> None:
    node = Held(tmp_path_factory.mktemp("node"), health)
    life = Life(node)
    for step in steps:
        getattr(life, step)()
        node.take(after=SECONDS)

    taken = [node.take(after=SECONDS) for _ in range(4)]

    is_running = steps.index("prolog") > steps.index("epilog")
    assert any(taken) == is_running
