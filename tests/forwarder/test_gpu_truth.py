"""A GPU in a job's sample is the job's, on any node and with any evidence, or it is counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from hpcobs_forwarder.node.gpus.gres_conf import GresError, configured_order, listed_order
from hpcobs_forwarder.node.gpus.mapping import NodeGpus, gpus_of_job
from hpcobs_forwarder.node.gpus.readings import GpuReading
from hpcobs_forwarder.node.gpus.slurm_order import SlurmOrder
from hpcobs_forwarder.node.records import JobRecord
from tests.forwarder.properties import patient

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

CAPS = "/dev/nvidia-caps/nvidia-cap"


class Device(NamedTuple):
    """What Slurm allocates: a whole GPU or a MIG device, and all its device files."""

    reading: GpuReading
    files: tuple[str, ...]
    uuid: str


class Case(NamedTuple):
    """A job, its true GPUs, and what the forwarder can see."""

    truth: frozenset[tuple[str, str]]
    node: NodeGpus
    record: JobRecord
    order: SlurmOrder
    minors: frozenset[int] | None
    used: frozenset[tuple[str, str]]


def whole(minor: int, position: int, uuid: str, *, is_amd: bool) -> Device:
    file = f"/dev/dri/renderD{minor}" if is_amd else f"/dev/nvidia{minor}"
    reading = GpuReading(
        gpu_id=str(position if is_amd else minor),
        gpu_vendor="amd" if is_amd else "nvidia",
        names=frozenset({uuid}),
        minor=minor,
        position=position,
        files=frozenset({file}),
        memory_total_mb=80_000,
    )
    return Device(reading, (file,), uuid)


def mig(minor: int, slot: int, uuid: str) -> Device:
    files = tuple(f"{CAPS}{100 * minor + 2 * slot + part}" for part in (0, 1))
    reading = GpuReading(
        gpu_id=uuid,
        gpu_vendor="nvidia",
        names=frozenset({uuid}),
        minor=minor,
        files=frozenset(files),
        is_mig=True,
    )
    return Device(reading, (f"/dev/nvidia{minor}", *files), uuid)


@st.composite
def devices(draw: DrawFn) -> list[Device]:
    """Return the devices of a node, in the library's order."""
    is_amd = draw(st.booleans())
    first = 128 if is_amd else 0
    minors = draw(
        st.lists(st.integers(first, first + 6), min_size=1, max_size=5, unique=True)
        | st.permutations(range(first, first + 4))
        | st.just(list(range(first, first + 4)))
    )
    found: list[Device] = []
    for position, minor in enumerate(minors):
        slots = 0 if is_amd else draw(st.sampled_from([0, 0, 0, 2]))
        # The UUIDs begin alike, so that short prefixes are ambiguous.
        uuid = f"GPU-0000{draw(st.sampled_from('ab'))}{minor}-{minor:012d}"
        found += [mig(minor, slot, f"MIG-0000{slot}{minor}-{minor:012d}") for slot in range(slots)]
        found += [] if slots else [whole(minor, position, uuid, is_amd=is_amd)]
    return found


def by_file(device: Device) -> tuple[int, int]:
    return device.reading.minor or 0, int(device.files[-1].lstrip("/abcdefghijklmnopqrstuvwxyzD-"))


@st.composite
def orders(draw: DrawFn, present: list[Device]) -> tuple[list[Device], SlurmOrder]:
    """Return Slurm's list of the GPUs, and what can be seen of it."""
    kind = draw(st.sampled_from(["slurmd", "gres.conf", "detected", "unreadable", "nothing"]))
    event(kind)
    if kind == "detected":
        # By NVLinks, which is the order of the PCI bus, or by device file.
        ours = draw(st.sampled_from([present, sorted(present, key=by_file)]))
        return ours, SlurmOrder(configured_order("AutoDetect=nvml", "n1"), kind)
    ours = draw(st.permutations(present))[: draw(st.integers(1, len(present)))]
    if kind == "slurmd":
        lines = (f"slurmd: Gres Name=gpu Type=a Count=1 Index=9 ID=1 File={','.join(one.files)} x"
                 for one in ours)  # fmt: skip
        return ours, SlurmOrder(listed_order("\n".join(lines)), kind)
    if kind == "gres.conf":
        text = "\n".join(
            f"Name=gpu {'MultipleFiles' if len(one.files) > 1 else 'File'}={','.join(one.files)}"
            for one in ours
        )
        return ours, SlurmOrder(configured_order(text, "n1"), kind)
    if kind == "unreadable":
        return ours, SlurmOrder(None, kind)
    # Without any sign of Slurm's configuration, a site has all GPUs in the order of their files.
    return sorted(present, key=by_file), SlurmOrder(None, kind, is_found=False)


def abbreviated(draw: DrawFn, uuid: str) -> str:
    return draw(st.sampled_from([uuid, uuid, uuid.lower(), uuid[:12], uuid[:10], uuid[:8]]))


@st.composite
def cases(draw: DrawFn) -> Case:
    present = draw(devices())
    ours, order = draw(orders(present))
    places = draw(st.lists(st.sampled_from(range(len(ours))), min_size=1, unique=True))
    true = [ours[place] for place in places]
    indexes = tuple(map(str, places))
    visible = tuple(
        abbreviated(draw, one.uuid) if draw(st.booleans()) else index
        for one, index in zip(true, indexes)
    )
    record = JobRecord(
        "7",
        gpus=indexes,
        visible_gpus=draw(st.sampled_from([visible, indexes, ()])),
    )
    lost = draw(
        st.sets(st.sampled_from(present), max_size=1) if draw(st.booleans()) else st.just(set())
    )
    readings = [one.reading for one in draw(st.permutations(present)) if one not in lost]
    working = draw(st.sets(st.sampled_from(true)))
    minors = frozenset(one.reading.minor for one in true if one.reading.minor is not None)
    return Case(
        truth=frozenset(one.reading.key for one in true),
        node=NodeGpus(readings, is_partial=bool(lost)),
        record=record,
        order=order,
        minors=draw(st.sampled_from([None, None, minors])),
        used=frozenset(one.reading.key for one in working if one not in lost),
    )


def found_in(case: Case) -> tuple[list[GpuReading], list[str]]:
    folder = SimpleNamespace(name="job_7")
    layout = SimpleNamespace(gpu_minors=lambda _: case.minors)
    job: Any = SimpleNamespace(record=case.record, folder=folder, layout=layout, job_id="7")
    slurm: Any = SimpleNamespace(of_record=lambda _: case.order)
    return gpus_of_job(case.node, job, {"job_7": set(case.used)}, slurm)


@settings(patient, max_examples=400)
@given(cases())
def test_reported_gpu_is_always_the_jobs(case: Case) -> None:
    gpus, unknown = found_in(case)

    keys = [gpu.key for gpu in gpus]
    event(f"found {bool(keys)}, unknown {bool(unknown)}")
    assert set(keys) <= case.truth
    assert len(keys) == len(set(keys))
    assert len(keys) + len(unknown) == len(case.truth)


@patient
@given(cases())
def test_certain_evidence_finds_all_gpus(case: Case) -> None:
    assume(not case.node.is_partial and case.order.source in {"slurmd", "gres.conf"})
    # Whatever processes and device cgroup show: with Slurm's own list nothing is left open.
    record = case.record._replace(visible_gpus=())

    gpus, unknown = found_in(case._replace(record=record))

    assert {gpu.key for gpu in gpus} == case.truth
    assert unknown == []


@patient
@given(st.text(alphabet="NameFilgpu=dev/0123[]-, \nTypeABAutoDetect", max_size=80))
def test_any_gres_conf_is_read_or_rejected(text: str) -> None:
    try:
        configured_order(text, "n1")
        listed_order(text)
    except (GresError, ValueError):
        return
