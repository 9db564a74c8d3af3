"""Memory in use: what the kernel cannot drop, whatever lies in the page cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs_forwarder.node.cgroups.cgroup_v1 import CgroupV1
from hpcobs_forwarder.node.cgroups.cgroup_v2 import CgroupV2
from hpcobs_forwarder.node.cgroups.memory import in_use_v1, in_use_v2
from tests.forwarder.properties import patient
from tests.forwarder.trees import MIB, V1Job, V2Job, only_reading

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30


def lines(**values: int) -> bytes:
    return "".join(f"{name} {value}\n" for name, value in values.items()).encode()


def v2(root: Path, current: int, stat: bytes) -> int:
    job = V2Job(root, "job_7")
    job.file("memory.current", f"{current}\n")
    job.file("memory.stat", stat.decode())
    layout = CgroupV2(str(root / "sys/fs/cgroup"), "n1")
    layout.search()
    return only_reading(layout).memory_bytes


def v1(root: Path, usage: int, stat: bytes) -> int:
    job = V1Job(root, "job_7")
    job.file("memory", "memory.usage_in_bytes", f"{usage}\n")
    job.file("memory", "memory.stat", stat.decode())
    layout = CgroupV1(str(root / "sys/fs/cgroup"), "n1", str(root / "proc"))
    layout.search()
    return only_reading(layout).memory_bytes


@pytest.mark.parametrize(
    ("current", "stat", "in_use"),
    [
        # 30 GiB of active page cache
        (31 * GIB, {"anon": GIB, "file": 30 * GIB, "inactive_file": 0, "active_file": 30 * GIB}, 1),
        # 1 GiB of its own and 9 GiB of cache at a limit of 10 GiB
        (10 * GIB, {"anon": GIB, "file": 9 * GIB, "inactive_file": 4 * GIB}, 1),
        # tmpfs is part of "file", and cannot be dropped
        (10 * GIB, {"anon": GIB, "file": 9 * GIB, "shmem": 8 * GIB, "active_file": GIB}, 9),
        (10 * GIB, {"anon": GIB, "file": 0, "slab_reclaimable": 9 * GIB, "slab": 9 * GIB}, 1),
        # the files are not read at the same moment
        (GIB, {"file": 2 * GIB}, 0),
        (GIB, {"file": 0, "shmem": GIB}, 1),
    ],
)
def test_version_2_counts_no_droppable_page(
    tmp_path: Path, current: int, stat: dict[str, int], in_use: int
) -> None:
    assert v2(tmp_path, current, lines(**stat)) == in_use * GIB


@pytest.mark.parametrize(
    ("stat", "in_use"),
    [
        ({"cache": 0, "total_cache": 9 * GIB, "total_active_file": 9 * GIB}, 1),
        ({"cache": 5, "shmem": 5, "total_cache": 9 * GIB, "total_shmem": 8 * GIB}, 9),
        ({"cache": 9 * GIB, "inactive_file": 9 * GIB, "total_cache": 0}, 10),
    ],
)
def test_version_1_counts_no_droppable_page(
    tmp_path: Path, stat: dict[str, int], in_use: int
) -> None:
    assert v1(tmp_path, 10 * GIB, lines(**stat)) == in_use * GIB


sizes = st.integers(0, 1 << 50)


@patient
@given(anon=sizes, cache=sizes, shmem=sizes, slab=sizes, active=st.floats(0, 1))
def test_own_memory_is_found_under_any_cache(
    anon: int, cache: int, shmem: int, slab: int, active: float
) -> None:
    lists = {"active_file": int(cache * active), "inactive_file": cache - int(cache * active)}
    v2_stat = lines(anon=anon, file=cache + shmem, shmem=shmem, **lists, slab_reclaimable=slab)
    v1_stat = lines(cache=0, total_cache=cache + shmem, total_shmem=shmem, **lists)

    assert in_use_v2(anon + cache + shmem + slab, v2_stat) == anon + shmem
    assert in_use_v1(anon + cache + shmem, v1_stat) == anon + shmem


keys = st.sampled_from(["anon", "shmem", "slab_reclaimable", "total_shmem", "total_active_anon"])


@patient
@given(sizes, sizes, st.dictionaries(keys, sizes))
def test_any_counters_stay_within_the_charge(charge: int, cache: int, stat: dict[str, int]) -> None:
    assert 0 <= in_use_v2(charge, lines(file=cache, **stat)) <= charge
    assert 0 <= in_use_v1(charge, lines(total_cache=cache, **stat)) <= charge


@patient
@given(rss=sizes, cache=sizes, shmem=sizes, active=st.floats(0, 1))
def test_kernel_without_shmem_shows_it_in_lists(
    rss: int, cache: int, shmem: int, active: float
) -> None:
    first = int((rss + shmem) * active)
    listed = {"total_active_anon": first, "total_inactive_anon": rss + shmem - first}
    stat = lines(total_cache=cache + shmem, total_rss=rss, **listed)

    assert in_use_v1(rss + cache + shmem, stat) == rss + shmem


@pytest.mark.parametrize(
    "stat", [b"", b"\n", b"file \n", b"file -1\n", b"file 1e3\n", b"file \xff\xfe\n"]
)
def test_damaged_counters_are_no_reading(stat: bytes) -> None:
    with pytest.raises(ValueError, match=r"memory.stat|file"):
        in_use_v2(5 * MIB, stat)


@patient
@given(sizes, st.dictionaries(keys, sizes))
def test_unknown_page_cache_is_no_reading(charge: int, stat: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"memory\.stat has no file"):
        in_use_v2(charge, lines(**stat, inactive_file=0, total_cache=0))
    with pytest.raises(ValueError, match=r"memory\.stat has no total_cache"):
        in_use_v1(charge, lines(**stat, file=0, cache=0))


@pytest.mark.parametrize("text", ["", "\n", "-1\n", "1_000\n", "99999999999999999999\n", "x\n"])
def test_damaged_charge_is_no_reading(tmp_path: Path, text: str) -> None:
    job = V2Job(tmp_path, "job_7")
    job.file("memory.current", text)
    layout = CgroupV2(str(tmp_path / "sys/fs/cgroup"), "n1")
    layout.search()

    with pytest.raises(ValueError, match=r"memory\.current"):
        only_reading(layout)
