"""Medians of the rounds and the table that shows them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from benchmarks.scaling import ratio

Rounds = Mapping[str, Sequence[Mapping[str, float]]]
"""Figures by measurement, one mapping a round."""

TARGETS: Final = """
aims: qflow ≥ 2 × the fastest peer and ≥ 20 × RQ SimpleWorker; hop p50 ≤ 0.4 ms; event to first
step p50 ≤ 2 ms, p99 ≤ 8 ms; ≤ 1 round trip a step; 2 workers ≥ 1.7 × 1 where Redis is not the limit
"""
_COSTS: Final = (
    ("commands", "commands", ".1f"),
    ("evalsha", "EVALSHA", ".2f"),
    ("round_trips", "round trips", ".2f"),
    ("bytes", "bytes", ",.0f"),
    ("redis_us", "Redis µs", ".0f"),
    ("worker_us", "worker µs", ".0f"),
    ("others_us", "router+sched. µs", ".0f"),
)
_LATENCIES: Final = (
    ("hops", "step to next step, sync"),
    ("ahops", "step to next step, async"),
    ("first", "event sent to first step"),
    ("ping", "for comparison: one PING"),
)


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the rounds."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def show(rounds: Rounds) -> str:
    """Return the whole report, as text."""
    chains = {name: rounds[name] for name in rounds if name.startswith("qflow ")}
    rivals = {name: rounds[name] for name in rounds if name.startswith("peer ")}
    lines = [*_rates(chains), "", *_costs(chains), "", *_scaling(rounds)]
    if "latency" in rounds:
        lines += ["", *_latency(rounds["latency"])]
    if rivals:
        lines += ["", *_ratios(rounds["qflow sync 2w"], rivals)]
    return "\n".join([*lines, TARGETS.rstrip()])


def _rates(chains: Rounds) -> Iterator[str]:
    yield f"{'durable steps':<26}{'steps/s':>9}   {'lowest … highest':>17}   Redis busy   foreign CPU"
    for name, found in chains.items():
        rates = [one["steps_per_s"] for one in found]
        middle = medians(found)
        spread = f"{min(rates):,.0f} … {max(rates):,.0f}"
        yield (
            f"{name:<26}{middle['steps_per_s']:>9,.0f}   {spread:>17}"
            f"   {middle['redis_share']:>10.0%}   {middle['foreign_share']:>11.0%}"
        )


def _costs(chains: Rounds) -> Iterator[str]:
    yield f"{'a step costs':<26}" + "".join(f"{title:>17}" for _, title, _ in _COSTS)
    for name, found in chains.items():
        middle = medians(found)
        yield f"{name:<26}" + "".join(f"{middle[key]:>17{form}}" for key, _, form in _COSTS)


def _scaling(rounds: Rounds) -> Iterator[str]:
    yield f"{'2 workers : 1 worker':<26}{'ratio':>9}"
    for kind in ("sync", "async"):
        pairs = zip(rounds[f"qflow {kind} 2w"], rounds[f"qflow {kind} 1w"], strict=True)
        yield f"{kind:<26}{statistics.median(ratio(two, one) for two, one in pairs):>9.2f}"


def _latency(found: Sequence[Mapping[str, float]]) -> Iterator[str]:
    middle = medians(found)
    yield f"{'idle, ms':<26}{'p50':>9}{'p95':>9}{'p99':>9}"
    for name, title in _LATENCIES:
        yield f"{title:<26}" + "".join(f"{middle[f'{name}_p{p}_ms']:>9.2f}" for p in (50, 95, 99))


def _ratios(ours: Sequence[Mapping[str, float]], rivals: Rounds) -> Iterator[str]:
    yield f"{'peers, plain no-op tasks':<26}{'tasks/s':>9}   {'lowest … highest':>17}   qflow sync 2w : peer"
    best: list[Mapping[str, float]] = [
        max(one, key=_rate) for one in zip(*rivals.values(), strict=True)
    ]
    for name, found in {**rivals, "peer fastest of each round": best}.items():
        rates = [one["tasks_per_s"] for one in found]
        ratios = [us["steps_per_s"] / rate for us, rate in zip(ours, rates, strict=True)]
        spread = f"{min(rates):,.0f} … {max(rates):,.0f}"
        yield (
            f"{name.removeprefix('peer '):<26}{statistics.median(rates):>9,.0f}   {spread:>17}"
            f"   {statistics.median(ratios):>20.1f}"
        )


def _rate(figures: Mapping[str, float]) -> float:
    return figures["tasks_per_s"]
