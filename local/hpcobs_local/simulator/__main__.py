"""The simulator's process, started by ``hpcobs up`` as ``python -m hpcobs_local.simulator``."""

from __future__ import annotations

import argparse
import logging
import signal
import threading

from hpcobs.settings import read_settings
from hpcobs_local.simulator.client import Client
from hpcobs_local.simulator.simulation import Plan, Simulation
from hpcobs_local.watchdog import exit_with_service

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def main() -> None:
    """Simulate until SIGTERM, or until the service ends."""
    exit_with_service()
    logging.basicConfig(format=LOG_FORMAT, level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    plan, settings = _plan(), read_settings()
    client = Client(plan.url, settings)
    simulation = Simulation(
        plan,
        client,
        cluster_name=settings.cluster_name,
        wait=stopping.wait,
    )
    try:
        simulation.run()
    finally:
        client.close()


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
