"""``python -m infra.synth``: write a site's CloudFormation template, without an AWS account."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.paths import ROOT
from infra.site.config import SiteError, load_site
from infra.stack import SiteStack

if TYPE_CHECKING:
    from infra.site.config import Site

AS_THE_COMMAND_LINE_DOES: dict[str, Any] = {
    "aws:cdk:enable-path-metadata": True,
    # As assetMetadata in cdk.json: the metadata would contain this machine's path.
    "aws:cdk:enable-asset-metadata": False,
}
WITHOUT_BUILDING: dict[str, Any] = {"aws:cdk:bundling-stacks": []}
"""The CDK's own switch to skip bundling. Assets then contain only their sources."""


def new_app(*, out: Path | None = None, context: dict[str, Any] | None = None) -> App:
    """Return an app whose synthesis fails on a finding of cdk-nag that is not accepted."""
    where = str(out) if out else None
    # Stack traces would contain this machine's paths, so no two machines would write the same.
    app = App(analytics_reporting=False, stack_traces=False, outdir=where, context=context)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def synthesize(site: Site, *, out: Path, build: bool = True) -> Path:
    """Write the site's cloud assembly into ``out``, and return the path of its template."""
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    context = flags | AS_THE_COMMAND_LINE_DOES | ({} if build else WITHOUT_BUILDING)
    app = new_app(out=out, context=context)
    stack = SiteStack(app, site=site)
    app.synth()
    return out / stack.template_file


def main(arguments: list[str] | None = None) -> int:
    """Synthesize the site that the command line names. Return 1 if its file has errors."""
    parser = argparse.ArgumentParser(prog="python -m infra.synth", description=__doc__)
    parser.add_argument("--site", default="example", help="reads sites/SITE.toml; default: example")
    parser.add_argument("--out", type=Path, default=ROOT / "cdk.out", help="default: cdk.out")
    parser.add_argument(
        "--template-only",
        action="store_true",
        help="skip building the code; the result can be read, but not deployed",
    )
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    try:
        site = load_site(options.site)
    except SiteError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    template = synthesize(site, out=options.out, build=not options.template_only)
    seconds = time.perf_counter() - started
    sys.stdout.write(f"{template} ({seconds:.1f} s)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
