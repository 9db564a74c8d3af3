"""Each type has one rule: all routes accept and reject the same values, and store the same.

A table of values is sent by each route that has a field of the type, through the real handlers and
the collector. ``bad`` values are rejected by name, ``good`` ones are stored as written here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs import bootstrap
from tests.functions.value_ways import (
    JOB_ID_WAYS,
    MEMORY_WAYS,
    NAME_WAYS,
    PERCENT_WAYS,
    TIME_WAYS,
    Way,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.gateway import Answer, Gateway
    from tests.stores import Query

TIMES: dict[str, str | None] = {
    "2026-11-02T08:00:00Z": "2026-11-02T08:00:00+00:00",
    "2026-11-02T08:00:00.5Z": "2026-11-02T08:00:00.500000+00:00",
    "2026-11-02T08:00:00.123456789Z": "2026-11-02T08:00:00.123456+00:00",
    "2026-11-02T08:00:00.1234565Z": "2026-11-02T08:00:00.123456+00:00",
    "2026-11-02T08:00:00.123456789123Z": "2026-11-02T08:00:00.123456+00:00",
    "2026-11-02T23:59:59.9999999Z": "2026-11-02T23:59:59.999999+00:00",
    "2026-11-02t08:00:00z": "2026-11-02T08:00:00+00:00",
    "2026-11-02T08:00:00+05:30": "2026-11-02T02:30:00+00:00",
    "2026-11-02T08:00:00.9999999-23:59": "2026-11-03T07:59:00.999999+00:00",
    "2026-11-02T08:00:00-00:00": "2026-11-02T08:00:00+00:00",
    "2026-11-02 08:00:00Z": None,
    "2026-11-02_08:00:00Z": None,
    "2026-11-02T08:00:00": None,
    "2026-11-02T08:00Z": None,
    "2026-11-02T08Z": None,
    "2026-11-02": None,
    "20261102T080000Z": None,
    "2026-W45-1T08:00:00Z": None,
    "2026-11-02T08:00:00,5Z": None,
    "2026-11-02T08:00:00.Z": None,
    "2026-11-02T08:00:00+0530": None,
    "2026-11-02T08:00:00+05": None,
    "2026-11-02T08:00:00+24:00": None,
    "2026-11-02T08:00:00+05:60": None,
    "2026-11-02T08:00:00+05:30:30": None,
    "2026-11-02T08:00:60Z": None,
    "2026-12-31T23:59:60Z": None,
    "2026-11-02T24:00:00Z": None,
    "2026-02-30T08:00:00Z": None,
    "0000-01-01T00:00:00Z": None,
    "0001-01-01T00:00:00+23:59": None,
    "1969-12-31T23:59:59Z": None,
    "2200-01-01T00:00:00Z": None,
    "9999-12-31T23:59:59-23:59": None,
    "٢٠٢٦-11-02T08:00:00Z": None,
    "2026-11-02T08:00:00Z\n": None,
    " 2026-11-02T08:00:00Z": None,
    "1793606400": None,
    "now": None,
    "": None,
}
NOT_TEXTS: list[Any] = [1793606400, 1793606400.5, True, None, [], {}]

BAD_IN_NAMES = (
    "\0\t\n\r\x1b ,[]\x7f\x80\x85\xa0\xad\u0600\u061c\u1680\u180e\u2000\u200b\u200d\u200e\u2028"
    "\u2029\u202e\u202f\u205f\u2060\u2066\u206f\u3000\ufeff\ufffb\ufffd\uffff\U000110bd\U000e0001"
)
NAMES: dict[str, bool] = {
    **{f"n{character}1": False for character in BAD_IN_NAMES},
    **dict.fromkeys(("n1", "N-1_a.b", "it's", 'a"b', "a\\b", "ä", "節点1", "💥"), True),
    "x" * 255: True,
    "ä" * 255: True,
    "x" * 256: False,
    "": False,
}

JOB_IDS: dict[str, bool] = {
    **dict.fromkeys(("17", "3_[4]", "het+1", "b.17", "a-b", "x" * 255), True),
    **dict.fromkeys(
        ("", "x" * 256, ".", "-1", "1 2", "1\n", "1@2", "ä", "1\x00", "1/2", "１"), False
    ),
}

PERCENTS: dict[str, float | None] = {
    "0": 0, "-0": 0, "-0.0": 0, "1": 1, "1.0": 1, "1e2": 100, "1E-2": 0.01, "100": 100,
    "0.1": 0.1, "1e-400": 0, "33.333333333333336": 33.333333333333336,
    "100.00000000000001": None, "-1e-300": None, "-1": None, "101": None, "1e999": None,
    "1" * 400: None, "1" * 5000: None, "NaN": None, "Infinity": None, "-Infinity": None,
    '"12"': None, "true": None, "[]": None, "{}": None, "686103": None,
}  # fmt: skip
MEMORIES: dict[str, int | None] = {
    "0": 0, "-0": 0, "7": 7, "1099511627776": 2**40,
    "1099511627777": None, "-1": None, "1.0": None, "1e2": None, "1.5": None, "1e999": None,
    "9223372036854775808": None, "1" * 400: None, "1" * 5000: None, "NaN": None,
    "Infinity": None, '"12"': None, "true": None, "[]": None,
}  # fmt: skip


@pytest.fixture
def fresh(site: Gateway, query: Query) -> Callable[[], None]:
    """Return how to bring the site back to one running job."""

    def bring_back() -> None:
        query(
            "TRUNCATE jobs, job_nodes, job_gpus, nodes, metric_samples, waiting_samples,"
            " rejected_samples, sample_queue, unmatched_ends, unmatched_starts"
        )
        job = {"id": "1", "user": "ada", "nodes": ["n1"], "start_time": "1970-01-01T00:00:00Z"}
        assert site.post("/v1/jobs", job).status == 201

    return bring_back


def rejected(answer: Answer) -> str | None:
    """Return the message of a rejection, or None if the value was accepted."""
    if answer.status == 400:
        return str(answer.json["message"])
    assert answer.status < 300, answer.body
    found = answer.json
    failed = [item["message"] for item in found.get("results", ()) if item["status"] == "failed"]
    failed += [item["message"] for item in found.get("rejected_nodes", ())]
    return failed[0] if failed else None


def collect() -> None:
    bootstrap.collection().run(lambda: 25.0)


def check(way: Way, site: Gateway, query: Query, literal: str, expected: Any) -> None:
    """Send a value and compare what came of it. ``expected`` None is a rejection."""
    message = rejected(way.send(site, literal))
    assert (message is None) == (expected is not None), (literal[:80], message)
    if message is not None:
        assert way.field in message, message
    elif way.stored:
        collect()
        ((stored,),) = query(way.stored)
        found = stored.isoformat() if hasattr(stored, "isoformat") else stored
        assert found == expected, literal


def ways(found: dict[str, Way]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("way", found.values(), ids=found)


@ways(TIME_WAYS)
def test_time_has_one_rule(
    site: Gateway, query: Query, fresh: Callable[[], None], way: Way
) -> None:
    for text, expected in TIMES.items():
        fresh()
        check(way, site, query, json.dumps(text), expected)


@pytest.mark.parametrize("ways_of", [TIME_WAYS, NAME_WAYS, JOB_ID_WAYS])
def test_text_of_other_type_is_rejected(
    site: Gateway, fresh: Callable[[], None], ways_of: dict[str, Way]
) -> None:
    fresh()
    for name, way in ways_of.items():
        if "query" in name:
            continue
        for value in NOT_TEXTS:
            message = rejected(way.send(site, json.dumps(value)))
            accepted = value is None and way.null
            assert (message is None) == accepted, (name, value, message)


@ways(NAME_WAYS)
def test_node_name_has_one_rule(
    site: Gateway, query: Query, fresh: Callable[[], None], way: Way
) -> None:
    for name, good in NAMES.items():
        fresh()
        check(way, site, query, json.dumps(name), name if good else None)


@pytest.mark.parametrize("literal", [r'"n\ud8001"', r'"\udfff"'])
@ways({name: way for name, way in NAME_WAYS.items() if "query" not in name})
def test_half_of_surrogate_names_no_node(
    site: Gateway, fresh: Callable[[], None], way: Way, literal: str
) -> None:
    fresh()
    assert rejected(way.send(site, literal)) is not None


@ways(JOB_ID_WAYS)
def test_job_id_has_one_rule(
    site: Gateway, query: Query, fresh: Callable[[], None], way: Way
) -> None:
    for job_id, good in JOB_IDS.items():
        fresh()
        check(way, site, query, json.dumps(job_id), job_id if good else None)


@ways(PERCENT_WAYS)
def test_percent_has_one_rule(
    site: Gateway, query: Query, fresh: Callable[[], None], way: Way
) -> None:
    for literal, expected in PERCENTS.items():
        fresh()
        check(way, site, query, literal, expected)


@ways(MEMORY_WAYS)
def test_memory_has_one_rule(
    site: Gateway, query: Query, fresh: Callable[[], None], way: Way
) -> None:
    for literal, expected in MEMORIES.items():
        fresh()
        check(way, site, query, literal, expected)
