"""Results for people (tables, a plot) and for programs (CSV, JSON)."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


class NoPlot(Exception):
    """matplotlib is not installed."""


def table(rows: Sequence[Row]) -> str:
    """Aligned columns, numbers to the right."""
    if not rows:
        return "nothing was measured"
    names = list(rows[0])
    cells = [names, *[[_text(row[name]) for name in names] for row in rows]]
    widths = [max(len(line[place]) for line in cells) for place in range(len(names))]
    right = [isinstance(rows[0][name], (int, float)) or rows[0][name] is None for name in names]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    )


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def as_csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")


def save_json(path: Path, kind: str, rows: Sequence[Row], settings: Row) -> None:
    """Rows with what is needed to compare them later: machine, Python, commit, settings."""
    path.write_text(
        json.dumps({"kind": kind, **surroundings(), "settings": dict(settings), "rows": [dict(row) for row in rows]}, indent=1) + "\n"
    )


def surroundings() -> dict[str, Any]:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version(), "commit": done.stdout.strip()}


def require_plot() -> None:
    """`NoPlot` when plots cannot be drawn; asked before an hour of measuring, not after."""
    if importlib.util.find_spec("matplotlib") is None:
        raise NoPlot("--plot needs matplotlib: pip install -e '.[bench]'")


def plot(rows: Sequence[Row], path: Path) -> None:
    """Bars per command: throughput and CPU time against Redis' (the line at 1), a panel per pipeline depth."""
    require_plot()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    depths = sorted({row["P"] for row in rows})
    figure, panels = pyplot.subplots(len(depths), 1, figsize=(11, 4 * len(depths)), squeeze=False)
    for (panel,), depth in zip(panels, depths, strict=True):
        shown = [row for row in rows if row["P"] == depth]
        places = range(len(shown))
        panel.bar([place - 0.2 for place in places], [row["rps_ratio"] for row in shown], 0.4, label="requests per second (more is better)")
        panel.bar(
            [place + 0.2 for place in places], [row["cpu_ratio"] for row in shown], 0.4, label="server CPU per request (less is better)"
        )
        panel.axhline(1, color="black", linewidth=0.8)
        panel.set_xticks(list(places), [row["command"] for row in shown], fontsize=8)
        panel.set_title(f"diskkv / Redis with AOF everysec, 50 clients, P={depth}")
        panel.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
