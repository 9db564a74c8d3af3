"""The CDK app: ``cdk deploy -c site=NAME`` deploys the site of ``sites/NAME.toml``."""

from __future__ import annotations

import sys

from infra.site.config import SiteError, load_site
from infra.stack import SiteStack
from infra.synth import new_app


def main() -> None:
    """Synthesize the site that the context names."""
    app = new_app()
    name = app.node.try_get_context("site")
    if not name:
        sys.exit("which site? run: cdk deploy -c site=NAME, for sites/NAME.toml")
    try:
        site = load_site(name)
    except SiteError as error:
        sys.exit(str(error))
    SiteStack(app, site=site)
    app.synth()


if __name__ == "__main__":
    main()
