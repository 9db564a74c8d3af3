"""The simulator's process, started by ``hpcobs up``: ``python -m hpcobs_local.simulator``."""

from __future__ import annotations

import argparse
import logging
import signal
import threading

from hpcobs.settings import read_settings
from hpcobs_local.orphans import die_with_parent, is_orphan
from hpcobs_local.simulator.courier import Courier
from hpcobs_local.simulator.simulation import Plan, Simulation

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def main() -> None:
    """Simulate until SIGTERM, or until the service has gone."""
    die_with_parent()
    logging.basicConfig(format=LOG_FORMAT, level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    plan, settings = _plan(), read_settings()
    courier = Courier(plan.url, settings)
    simulation = Simulation(
        plan,
        courier,
        cluster_name=settings.cluster_name,
        wait=lambda seconds: stopping.wait(seconds) or is_orphan(),
    )
    try:
        simulation.run()
    finally:
        courier.close()


def _plan() -> Plan:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument("--history-hours", type=float, required=True)
    return Plan(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
