"""rename-command: other names for commands, as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from diskkv.errors import SettingError

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor


def rename(executor: Executor, renames: Sequence[tuple[str, str]]) -> None:
    """Have commands other names for clients, or none (rename-command). SettingError when there is no such command, or is one."""
    for old, new in renames:
        table, name = dict(executor.table), old.lower().encode("utf-8", "surrogateescape")
        wanted = new.lower().encode("utf-8", "surrogateescape")
        held = executor.renames.pop(name, None) if name in executor.renames else name if name in table else None
        if held is None:
            raise SettingError(f"rename-command {old}: No such command in rename-command")
        table.pop(name, None)
        table.pop(name.upper(), None)
        if wanted:
            if wanted in table or wanted in executor.renames:
                raise SettingError(f"rename-command {old} {new}: Target command name already exists")
            executor.renames[wanted] = held
        executor.table = table
        executor.stats.plans.clear()
