"""msgspec and pydantic judge any JSON value alike, and make the same of it."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcobs.domain import values
from hpcobs.domain.errors import DomainError
from hpcobs.http.schemas.jobs import NewSample
from hpcobs.http.schemas.sync import SeenNode
from hpcobs.http.validation import parse_slurm_body
from hpcobs.settings import CLUSTER_NAME
from hpcobs.wire.batches import decode_batch

BATCH_ID = "6f1d9d8e-3c1a-4a3b-9c39-0f4d7f0a1b2c"
GOOD = {
    "timestamp": '"2026-11-02T08:00:00Z"',
    "cpu_usage": "5",
    "memory_usage_mb": "5",
    "gpu_usage": "5",
    "node": '"n1"',
}
REJECTED = "rejected"

DIGITS = st.text("0123456789", min_size=1, max_size=25)
NUMBERS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "-"]),
        st.integers(0, 10**18).map(str) | DIGITS,
        st.just("") | DIGITS.map(lambda digits: f".{digits}"),
        st.just("") | st.builds("{}{}".format, st.sampled_from(["e", "E+", "e-"]), DIGITS),
    ),
)
DAMAGED = st.sampled_from(["NaN", "Infinity", "-Infinity", "nul", "", "1" * 400, "1" * 5000, "01"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
).map(json.dumps)
TIME_PARTS = (
    st.sampled_from(["2026-11-02", "2024-02-29", "2023-02-29"])
    | st.sampled_from(["1970-01-01", "2199-12-31", "2200-01-01"]),
    st.sampled_from(["T", "t", " ", "_", ""]),
    st.sampled_from(["00:00:00", "23:59:59", "23:59:60", "24:00:00"])
    | st.sampled_from(["08:00", "8:00:00", "٠٨:00:00"]),
    st.just("") | DIGITS.map(lambda digits: f".{digits}") | st.sampled_from([".", ",5"]),
    st.sampled_from(["Z", "z", "+00:00", "-00:00", "+05:30", "-23:59"])
    | st.sampled_from(["+24:00", "+0530", "+05:60", ""]),
)  # fmt: skip
TIMES = st.builds("".join, st.tuples(*TIME_PARTS)).map(json.dumps)
TEXTS = (st.text(max_size=300) | st.text(st.characters(codec=None), max_size=4)).map(json.dumps)
LITERALS = NUMBERS | DAMAGED | ANY_JSON | TIMES | TEXTS


def body_of(fields: dict[str, str]) -> str:
    return ", ".join(f'"{name}": {literal}' for name, literal in fields.items())


def by_msgspec(fields: dict[str, str]) -> Any:
    node = fields["node"]
    sample = body_of({name: literal for name, literal in fields.items() if name != "node"})
    body = f'{{"node": {node}, "batch_id": "{BATCH_ID}", "samples": [{{"job_id": "1", {sample}}}]}}'
    try:
        batch = decode_batch(body.encode(errors="surrogatepass"))
    except DomainError:
        return REJECTED
    if batch.rejected:
        return REJECTED
    (entry,) = batch.entries
    return (
        batch.node, entry.timestamp, entry.cpu_usage, entry.memory_usage_mb, entry.gpu_usage
    )  # fmt: skip


def by_pydantic(fields: dict[str, str]) -> Any:
    # As Slurm's bodies, whose texts are repaired as those of batches are.
    body = f"{{{body_of(fields)}}}".encode(errors="surrogatepass")
    try:
        sample = parse_slurm_body(NewSample, body)
    except DomainError:
        return REJECTED
    return (
        sample.node, sample.timestamp, sample.cpu_usage, sample.memory_usage_mb, sample.gpu_usage
    )  # fmt: skip


@given(name=st.sampled_from(sorted(GOOD)), literal=LITERALS)
@settings(max_examples=600, deadline=None)
def test_both_validators_agree_on_any_value(name: str, literal: str) -> None:
    # Only a single sample may leave out its time and its node.
    if literal == "null" and name in ("timestamp", "node"):
        return
    fields = {**GOOD, name: literal}
    assert by_msgspec(fields) == by_pydantic(fields)


@given(
    name=st.sampled_from(["cpu_usage", "gpu_usage", "timestamp"]),
    first=ANY_JSON | TIMES | TEXTS | st.sampled_from(["NaN", "-Infinity", "1" * 5000]),
)
@settings(max_examples=300, deadline=None)
def test_last_of_repeated_fields_counts(name: str, first: str) -> None:
    fields = {f'{name}": {first}, "{name}': GOOD[name], **{
        other: literal for other, literal in GOOD.items() if other != name
    }}  # fmt: skip
    assert by_msgspec(fields) == by_pydantic(fields) == by_msgspec(GOOD)


@given(
    text=TIMES.map(json.loads)
    | st.integers(0, 7_258_118_399_999_999).map(
        lambda microseconds: (
            datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
        ).isoformat()
    )
)
@settings(max_examples=500, deadline=None)
def test_many_times_equal_each_alone(text: str) -> None:
    try:
        alone = values.moment(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"time|between"):
            values.moments({text, "2026-11-02T08:00:00Z"})
        return
    assert alone.tzinfo is UTC
    assert values.moments({text, "2026-11-02T08:00:00Z"})[text] == alone
    assert values.moments({text})[text].tzinfo is UTC


def test_no_unprintable_character_is_in_a_name() -> None:
    for code in range(0x110000):
        kind = unicodedata.category(chr(code))
        if kind in ("Cc", "Cf", "Zs", "Zl", "Zp"):
            assert not values.is_node(f"n{chr(code)}"), hex(code)
        elif kind[0] in "LN" and code < 0xE0000:
            assert values.is_node(chr(code)), hex(code)


@given(name=st.text(max_size=260))
@settings(max_examples=500, deadline=None)
def test_reader_of_slurm_has_same_rule_of_nodes(name: str) -> None:
    body = json.dumps({"node": name, "state": "IDLE"}).encode()
    try:
        # Strict, because the reader gets names that are repaired already.
        accepted = parse_slurm_body(SeenNode, body).node == name
    except DomainError:
        accepted = False
    assert values.is_node(name) == accepted


@given(name=st.text(max_size=70) | st.from_regex(r"[A-Za-z0-9_-]{1,66}", fullmatch=True))
def test_setting_has_same_rule_of_clusters(name: str) -> None:
    assert values.is_cluster(name) == bool(re.fullmatch(CLUSTER_NAME, name))
