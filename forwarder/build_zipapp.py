#!/usr/bin/env python3
"""Builds the forwarder as one executable file that needs only Python 3.9 or newer.

    python3 build_zipapp.py [--output hpcobs-forwarder.pyz] [--with MODULE.py …]

The same source gives the same bytes. ``--with`` adds a module of one file, for example the
``pynvml.py`` of an installed nvidia-ml-py.
"""

from __future__ import annotations

import argparse
import io
import tokenize
import zipfile
from pathlib import Path

SOURCE = Path(__file__).parent / "src"
INTERPRETER = b"#!/usr/bin/env python3\n"
MAIN = """\
import sys

from hpcobs_forwarder.main import main

sys.exit(main())
"""
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold. Real times would make each build differ."""


def without_comments(source: bytes) -> bytes:
    """Remove the comments from a module. Each line keeps its number."""
    # Comments are 5 % of the file. They serve readers of the repository, and a traceback's line
    # numbers still lead there.
    lines = source.decode().splitlines(keepends=True)
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip() + "\n"
    return "".join(lines).encode()


def contents(extra: list[Path]) -> dict[str, bytes]:
    """Return the files of the archive by name."""
    files = {
        str(path.relative_to(SOURCE)): without_comments(path.read_bytes())
        for path in SOURCE.rglob("*.py")
        if path.name != "__main__.py"  # an archive runs the one at its top instead
    }
    return {
        **files,
        **{path.name: path.read_bytes() for path in extra},
        "__main__.py": MAIN.encode(),
    }


def archive(files: dict[str, bytes]) -> bytes:
    """Return a zip of ``files`` that does not depend on the time and place of the build."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.external_attr = 0o644 << 16
            made.writestr(entry, files[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("hpcobs-forwarder.pyz"))
    parser.add_argument("--with", dest="extra", type=Path, action="append", default=[])
    options = parser.parse_args()
    options.output.write_bytes(INTERPRETER + archive(contents(options.extra)))
    options.output.chmod(0o755)


if __name__ == "__main__":
    main()
