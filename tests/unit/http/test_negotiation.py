"""What clients prefer, by RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.http.negotiation import accepts_gzip, prefers_openmetrics, qualities

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    "header", ["gzip", "GZIP", "br, gzip;q=0.5", "x-gzip", "*", "gzip; q=0.2, identity;q=0.1"]
)
def test_gzip_is_used_where_it_is_welcome(header: str) -> None:
    assert accepts_gzip(header)


@pytest.mark.parametrize(
    "header",
    [None, "", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzip;q=0.5, identity", "gzip;q=x"],
)
def test_gzip_is_not_used_where_it_is_not(header: str | None) -> None:
    assert not accepts_gzip(header)


@pytest.mark.parametrize("header", [PROMETHEUS, "application/openmetrics-text"])
def test_openmetrics_is_served_to_those_who_ask_for_it(header: str) -> None:
    assert prefers_openmetrics(header)


@pytest.mark.parametrize(
    "header", [None, "*/*", "text/plain, application/openmetrics-text;q=0.5", "text/html"]
)
def test_all_others_get_prometheus_text(header: str | None) -> None:
    assert not prefers_openmetrics(header)


@given(st.text())
def test_any_header_can_be_read(header: str) -> None:
    assert all(0 <= quality <= 1 for quality in qualities(header).values())
