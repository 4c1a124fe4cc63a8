"""What Prometheus gets, and whether the dashboard asks for what there is."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from diskkv.server.metrics import COUNTERS, GAUGES
from tests.differential import servers
from tests.differential.wire import Connection

DASHBOARD = Path(__file__).resolve().parents[2] / "data" / "grafana.json"


@pytest.fixture(scope="module")
def port() -> int:
    return servers.free_port()


@pytest.fixture(scope="module")
def server(port: int) -> Iterator[servers.Server]:
    with servers.diskkv("--metrics-port", str(port)) as started:
        yield started


@pytest.fixture
def client(server: servers.Server) -> Iterator[Connection]:
    connection = Connection(server.address)
    yield connection
    connection.close()


def ask(port: int, path: str = "/metrics", **headers: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def figures(port: int) -> dict[tuple[str, ...], float]:
    """Name and labels of every sample, and its value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(ask(port))
        for sample in family.samples
    }


def test_figures_follow_what_happens(client: Connection, port: int) -> None:
    before = figures(port)
    for number in range(10):
        client.call(b"SET", b"k%d" % number, b"v")
    client.call(b"EXPIRE", b"k1", b"1000")
    client.call(b"GET", b"nonesuch")
    client.call(b"LPUSH", b"k1", b"v")
    after = figures(port)
    durations = "diskkv_command_duration_seconds"
    assert after[f"{durations}_count", "set"] - before.get((f"{durations}_count", "set"), 0) == 10
    assert after[f"{durations}_bucket", "set", "+Inf"] == after[f"{durations}_count", "set"]
    assert after[f"{durations}_sum", "set"] > 0
    assert after["diskkv_commands_failed_total", "lpush"] == 1
    assert after["diskkv_errors_total", "WRONGTYPE"] == 1
    assert (after["diskkv_keys", "0"], after["diskkv_expiring_keys", "0"]) == (10, 1)
    assert after["diskkv_cache_misses_total",] > before["diskkv_cache_misses_total",]
    assert after["diskkv_log_written_bytes_total",] > before["diskkv_log_written_bytes_total",]
    assert after["diskkv_connected_clients",] == 1


def test_a_histogram_never_falls(client: Connection, port: int) -> None:
    client.call(b"PING")
    counts = [value for name, value in figures(port).items() if name[:2] == ("diskkv_command_duration_seconds_bucket", "ping")]
    assert counts == sorted(counts)


def test_everything_named_is_there(client: Connection, port: int) -> None:
    client.call(b"SET", b"k", b"v")
    client.call(b"NONESUCH")
    there = {name for name, *_ in figures(port)}
    assert set(GAUGES) | {f"{name}_total" for name in COUNTERS} <= there
    board = json.loads(DASHBOARD.read_text())
    asked = {name for panel in board["panels"] for target in panel.get("targets", []) for name in re.findall(r"diskkv_\w+", target["expr"])}
    assert len(asked) > 30
    assert asked <= there
    assert {name for name in there if name.startswith("diskkv_") and not name.endswith("_created")} <= asked


def test_other_formats_paths_and_methods(server: servers.Server, port: int) -> None:
    assert ask(port, accept="application/openmetrics-text; version=1.0.0").endswith("# EOF\n")
    assert ask(port, "/") and ask(port, "/metrics?x=1")
    for path, data, status in (("/other", None, 404), ("/metrics", b"x", 405)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", data), timeout=30)
        assert refused.value.code == status
        refused.value.close()


def test_nonsense_is_hung_up_on(server: servers.Server, port: int) -> None:
    for nonsense in (b"A" * 100_000, b"\r\n\r\n", b"GET\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
            plain.sendall(nonsense)
            try:
                assert b" 200 " not in plain.recv(1000)
            except ConnectionResetError:
                continue
    assert "diskkv_uptime_seconds" in ask(port)


def test_the_port_may_change(client: Connection) -> None:
    other = servers.free_port()
    now = client.call(b"CONFIG", b"GET", b"metrics-port")[1][1][1]
    assert client.call(b"CONFIG", b"SET", b"metrics-port", b"%d" % other) == ("+", b"OK")
    assert "diskkv_uptime_seconds" in ask(other)
    assert client.call(b"CONFIG", b"SET", b"metrics-port", now) == ("+", b"OK")
