"""What a command says: argv, options, replies. One file per group, one short function per command; the work is in `types`."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import every module here, which fills the command table."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
