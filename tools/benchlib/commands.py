"""diskkv and redis-server in turns under redis-benchmark: throughput and server CPU time per operation."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from differential import servers
from differential.servers import Server
from differential.wire import Connection, Lost

from .process import cpu_seconds, wait_until_quiet
from .workloads import KEYS, Workload, fill

CLIENTS = 50
PIPELINE_FACTOR = 4  # requests cost less when pipelined, and CPU time is counted in ticks of 10 ms: send more of them


class NoBenchmark(Exception):
    """redis-benchmark or redis-server is missing, or a run of it failed."""


@dataclass
class Measured:
    """One workload at one pipeline depth on both servers, Redis and the subject: requests per second and CPU microseconds per request, a
    value per round."""

    name: str
    kind: str
    pipeline: int
    subject: str
    rate: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def row(self) -> dict[str, float | str | int]:
        """Medians over the rounds; ratios are medians of the ratios within a round."""
        subject = self.subject
        ratios = [ours / theirs for ours, theirs in zip(self.rate[subject], self.rate["redis"], strict=True)]
        costs = [ours / theirs if theirs else 0.0 for ours, theirs in zip(self.cpu[subject], self.cpu["redis"], strict=True)]
        return {
            "command": self.name,
            "kind": self.kind,
            "P": self.pipeline,
            f"{subject}_rps": round(median(self.rate[subject])),
            "redis_rps": round(median(self.rate["redis"])),
            "rps_ratio": round(median(ratios), 2),
            f"{subject}_cpu_us": round(median(self.cpu[subject]), 2),
            "redis_cpu_us": round(median(self.cpu["redis"]), 2),
            "cpu_ratio": round(median(costs), 2),
        }


def run(
    workloads: Sequence[Workload],
    *,
    rounds: int,
    requests: int,
    pipelines: Sequence[int],
    subject: Server,
    tell: Callable[[str], None],
) -> list[Measured]:
    """Measure every workload at every depth on the subject and on Redis, which take turns at going first; what comes out is told as soon as
    it is known."""
    if shutil.which("redis-benchmark") is None:
        raise NoBenchmark("redis-benchmark is not installed (Debian: apt-get install redis-tools)")
    results = [Measured(workload.name, workload.kind, depth, subject.name) for depth in pipelines for workload in workloads]
    by_name = {workload.name: workload for workload in workloads}
    with ExitStack() as stack:
        both = [
            stack.enter_context(subject),
            stack.enter_context(servers.redis("--appendonly", "yes", "--appendfsync", "everysec", "--hz", "10", port=servers.free_port())),
        ]
        for result in results:
            workload = by_name[result.name]
            count = requests * (PIPELINE_FACTOR if result.pipeline > 1 else 1)
            for number in range(rounds):
                if number == 0 or workload.uses_up:
                    for server in both:
                        prepare(server, workload, count)
                for server in both if number % 2 == 0 else reversed(both):
                    rate, cpu = measure(server, workload, result.pipeline, count)
                    result.rate[server.name].append(rate)
                    result.cpu[server.name].append(cpu)
            row = result.row()
            tell(f"{result.name} P={result.pipeline}: CPU {row['cpu_ratio']}, throughput {row['rps_ratio']} times Redis'")
    return results


def prepare(server: Server, workload: Workload, requests: int) -> None:
    """Empty a server, fill it with what a workload needs, and wait until it has digested that."""
    connection = Connection(server.address, patience=120)
    try:
        fill(connection, iter([(b"FLUSHALL",)]))
        fill(connection, workload.prepare(requests))
        probe = connection.call(*(word.replace(b"__rand_int__", b"000000000001") for word in workload.command))
        if probe[0] == "-":
            raise NoBenchmark(f"{server.name} refuses {workload.name}: {probe[1].decode(errors='replace')}")
    except Lost as lost:
        raise NoBenchmark(f"{server.name}: {lost}") from lost
    finally:
        connection.close()
    wait_until_quiet(server.pid)


def measure(server: Server, workload: Workload, pipeline: int, requests: int) -> tuple[float, float]:
    """Requests per second, and CPU microseconds per request, of a workload on a server that has been prepared for it.

    The CPU time of a write includes what the server still does after the last reply (log, checkpoint).
    """
    before = cpu_seconds(server.pid)
    rate = _load(server, workload, pipeline, requests)
    if workload.kind == "write":
        wait_until_quiet(server.pid)
    return rate, (cpu_seconds(server.pid) - before) / requests * 1e6


def _load(server: Server, workload: Workload, pipeline: int, requests: int) -> float:
    where = ["-h", "127.0.0.1", "-p", str(server.port)]
    how = ["-c", str(CLIENTS), "-n", str(requests), "-P", str(pipeline), "-r", str(KEYS), "--csv"]
    command = ["redis-benchmark", *where, *how, *(word.decode() for word in workload.command)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [row for row in csv.reader(done.stdout.splitlines()) if len(row) >= 2 and row[1].replace(".", "", 1).isdigit()]
    if done.returncode or not rows:
        raise NoBenchmark(f"redis-benchmark on {server.name}: {(done.stderr or done.stdout).strip()[-500:]}")
    return float(rows[-1][1])
