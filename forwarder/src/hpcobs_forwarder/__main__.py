"""Entry point of ``python -m hpcobs_forwarder`` and of the zipapp."""

import sys

from hpcobs_forwarder.main import main

if __name__ == "__main__":
    sys.exit(main())
