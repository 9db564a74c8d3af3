"""``docs/commands.md``, made from the commands themselves.

``python -m hpcobs_cli.documentation`` writes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from hpcobs_cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

_OPENING = """\
# The command line

<!-- Made by `python -m hpcobs_cli.documentation`; change the commands beside it instead. -->

`make run` installs `hpcobs` as `.venv/bin/hpcobs`. Commands that ask a service (`jobs`, `job`)
find it by `--url` or `HPCOBS_URL`, and their token by `--token`, `HPCOBS_TOKEN` or
`--token-file`. Without an address they ask the service that runs in this folder, with its own
token. `migrate`, `retention` and `rejected` work on a database by themselves.

What goes wrong is one line on standard error and exit status 1; a mistake on the command line is
exit status 2. In a terminal tables are as wide as it is; elsewhere nothing is cut. `hpcobs
--version` prints the version. The command on the nodes is another: see [Install on a Slurm
cluster](slurm.md).
"""

_EXAMPLES = {
    "up": "hpcobs up --port 9000 --nodes 40 --jobs 60 --seed-demo",
    "jobs": "hpcobs jobs --state running --user ada",
    "job": "hpcobs job 4711",
    "token": "hpcobs token --scope jobs:read --user ada --ttl 12h\n"
    "hpcobs token --scope events:write,samples:write --node 'n[001-400]' --directory tokens\n"
    "hpcobs token --inspect tokens/n001.token",
    "migrate": "hpcobs migrate --database-url postgresql://hpcobs@db.example.org/hpcobs",
    "retention": "hpcobs retention --dry-run",
    "cost": "hpcobs cost --nodes 400 --jobs 2000",
    "rejected list": 'hpcobs rejected list --reason "no such job"',
    "rejected replay": "hpcobs rejected replay --node n001",
    "rejected redrive": "hpcobs rejected redrive",
    "site init": "hpcobs site init lab --account 111122223333 --region eu-central-1",
    "site check": "hpcobs site check lab",
}


def page() -> str:
    """The whole page."""
    return "".join([_OPENING, *_sections("", get_command(app))])


def _sections(name: str, command: Any) -> Iterator[str]:
    """A section for each command; a group is no more than its commands."""
    for part, below in getattr(command, "commands", {}).items():
        yield from _sections(f"{name} {part}".strip(), below)
    if not hasattr(command, "commands"):
        yield _section(name, command)


def _section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    records = [param.get_help_record(context) for param in command.get_params(context)]
    rows = [_row(*record) for record in records if record and record[0] != "--help"]
    title = f"\n## hpcobs {name}\n{command.help}\n\n"
    example = f"```\n{_EXAMPLES[name]}\n```\n"
    table = f"\n| option | tells |\n|---|---|\n{''.join(rows)}" if rows else ""
    return title + example + table


def _row(declared: str, told: str) -> str:
    """A table's cell can hold no bar, and an example value no angle bracket."""
    text = " ".join(told.split()).replace("<", "&lt;")
    return f"| `{declared.replace('|', '/')}` | {text} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
