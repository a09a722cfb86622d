"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import chain, latency, peers, report
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer

Figures = dict[str, float]


def main(arguments: Sequence[str]) -> int:
    """Measure, in rounds, print the medians, and save every figure where asked to."""
    options = _options().parse_args(arguments)
    if options.quick:
        options.rounds, options.runs = 1, 20
    setting: dict[str, object] = {"load_before": os.getloadavg()[0]}
    if os.getloadavg()[0] > 0.5 and not options.quick:
        print(f"this machine is busy (load {os.getloadavg()[0]:.1f}): expect less", file=sys.stderr)
    measured: dict[str, list[Figures]] = {}
    with RedisServer() as server:
        setting |= _setting(server, with_peers=not options.no_peers)
        for number in range(options.rounds):
            for name, measure in _plan(server, options).items():
                print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr)
                measured.setdefault(name, []).append(measure())
    print(" · ".join(f"{name} {value}" for name, value in setting.items()), end="\n\n")
    print(report.show(measured))
    if options.json:
        raw = json.dumps({"setting": setting, "rounds": measured}, indent=1)
        options.json.write_text(raw + "\n")
    return 0


def _plan(server: RedisServer, options: argparse.Namespace) -> dict[str, Callable[[], Figures]]:
    runs, quick = options.runs, options.quick
    plan: dict[str, Callable[[], Figures]] = {}
    for workers in (2, 1):
        for kind, function in (("sync", "chain"), ("async", "achain")):
            measure = partial(chain.measure, server, function, workers, runs)
            plan[f"qflow {kind} {workers}w"] = measure
    chains, events = (3, 5) if quick else (50, 200)
    plan["latency"] = partial(latency.measure, server, 2, chains, events)
    if not options.no_peers:
        for peer in peers.PEERS:
            plan[f"peer {peer.name}"] = partial(peers.measure, server, peer, 100 if quick else 0)
    return plan


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="qflow bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are shown (3)")
    parser.add_argument("--runs", type=int, default=1000, help="runs of ten steps a cell (1000)")
    parser.add_argument("--no-peers", action="store_true", help="qflow alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save every figure of each round")
    parser.add_argument(
        "--quick", action="store_true", help="one small round, to see that all works"
    )
    return parser


def _setting(server: RedisServer, *, with_peers: bool) -> dict[str, object]:
    redis = Redis(server.url)
    version = next(
        line.partition(":")[2]
        for line in redis.call("INFO", "server").decode().splitlines()
        if line.startswith("redis_version:")
    )
    redis.close()
    return {
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "redis-server": version,
        **(peers.versions() if with_peers else {}),
    }
