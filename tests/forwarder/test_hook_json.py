"""JSON written by the shell, valid for every name that a job can have."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.forwarder.hooks import FOLDER, SHELLS, Cluster, encoded, recorded
from tests.forwarder.properties import patient

TYPE_OF_NAME = st.one_of(
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=40),
    st.text("\"\\/\n\r\t\b\f\x7f\x01\x1f$`(){}[]*?!~-;&|<>'# é漢𝄞", max_size=40),
)

SCRIPT = f"""
. {FOLDER}/json.sh
number=0
printf '['
while [ "$number" -lt "$COUNT" ]; do
    eval "value=\\$V$number"
    json_quote "$value"
    [ "$number" = 0 ] || printf ,
    printf %s "$quoted"
    number=$((number + 1))
done
printf ']'
"""


def quoted(shell: str, values: list[bytes]) -> list[str]:
    """Quote each of ``values`` as the hooks do. Return what a JSON parser reads."""
    environment = {f"V{number}".encode(): value for number, value in enumerate(values)}
    written = subprocess.run(
        [*shell.split(), "-c", SCRIPT],
        env={b"LC_ALL": b"C", b"COUNT": str(len(values)).encode(), **environment},
        capture_output=True,
        timeout=30,
        check=True,
    ).stdout
    read: list[str] = json.loads(written.decode("utf-8"))
    return read


@pytest.mark.parametrize("shell", SHELLS)
@settings(patient, max_examples=12)
@given(names=st.lists(TYPE_OF_NAME, min_size=1, max_size=30))
@example(names=["", "plain", "-n", "*", "$(id)", "a\n", "\n", " ", "\\", '"', "\x01" * 30])
def test_any_text_comes_through_unchanged(shell: str, names: list[str]) -> None:
    assert quoted(shell, [name.encode() for name in names]) == names


@pytest.mark.parametrize("shell", SHELLS)
@settings(patient, max_examples=12)
@given(names=st.lists(st.binary(max_size=30), min_size=1, max_size=30))
@example(names=[b"\xc3", b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"caf\xe9"])
def test_invalid_utf8_becomes_valid_json(shell: str, names: list[bytes]) -> None:
    names = [name.replace(b"\0", b"") for name in names]

    for name, read in zip(names, quoted(shell, names)):
        expected = name.decode("utf-8", errors="replace")
        assert read.replace("\ufffd", "") == expected.replace("\ufffd", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_longest_names_are_quoted(shell: str) -> None:
    names = [character * 1024 for character in ('"', "\x01", "\\", "a")] + ["漢" * 341]

    assert quoted(shell, [name.encode() for name in names]) == names


@settings(patient, max_examples=15)
@given(name=TYPE_OF_NAME, user=TYPE_OF_NAME)
def test_event_holds_any_job_and_user_name(
    tmp_path_factory: pytest.TempPathFactory, name: str, user: str
) -> None:
    cluster = Cluster(tmp_path_factory.mktemp("hook"))
    names = {"SLURM_JOB_NAME": name, "SLURM_JOB_ACCOUNT": name, "SLURM_JOB_USER": user}

    assert encoded(names)
    cluster.run("PrologSlurmctld", {**recorded("PrologSlurmctld", "1"), **names})

    event = cluster.event()
    expected = None if name in {"", "(null)"} else name
    assert (event.get("name"), event.get("account")) == (expected, expected)
    assert event["user"] == (user if user not in {"", "(null)"} else "33")
