"""Where the server's report goes: to a file or to standard output, and to the system's log besides.

Whoever rotates the file has nothing to tell: a file that was renamed or deleted is made anew for the next line, as Redis does. A line
that can't be written, on a full disk, is lost, and nothing else is.
"""

from __future__ import annotations

import io
import logging
import logging.handlers
import sys
import syslog

from diskkv.config import Settings
from diskkv.errors import SettingError
from diskkv.lib.reports import FORMS, LEVELS

PRIORITIES = ((logging.ERROR, syslog.LOG_ERR), (logging.WARNING, syslog.LOG_WARNING), (logging.INFO, syslog.LOG_NOTICE))


def open_journal(settings: Settings, path: str) -> None:
    """Have all that is reported go where the settings say, to the file `path` or standard output if that is empty. SettingError when the
    file can't be written. What may change while it is in use (loglevel, log-format, log-timestamp-format) does so from then on."""
    try:
        handlers: list[logging.Handler] = [File(path) if path else Output()]
    except OSError as error:
        raise SettingError(f"can't open the log file {path}: {error.strerror}") from None
    if settings["syslog-enabled"]:
        handlers.append(Syslog(settings["syslog-ident"], settings["syslog-facility"]))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)

    def changed(name: str) -> None:
        if name == "loglevel":
            root.setLevel(LEVELS[settings["loglevel"]])
        elif name.startswith("log-"):
            for handler in handlers:
                handler.setFormatter(FORMS[settings["log-format"]](settings["log-timestamp-format"]))

    changed("loglevel")
    changed("log-format")
    settings.listeners.append(changed)


class Output(logging.StreamHandler):  # type: ignore[type-arg]  # generic for the type checker only
    """Standard output, which may be gone: then nobody reads what is lost."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class File(logging.handlers.WatchedFileHandler):
    """A file, opened anew once it is no longer the one of that name."""

    def __init__(self, path: str) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            # It could not be opened anew. Without a stream the next line tries again.
            self.stream = None

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class Syslog(logging.Handler):
    """The system's log, which has a time and the process of its own: of the form for people only the message goes there."""

    def __init__(self, ident: str, facility: str) -> None:
        super().__init__()
        syslog.openlog(ident, syslog.LOG_PID | syslog.LOG_NDELAY, getattr(syslog, f"LOG_{facility.upper()}"))

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage() if isinstance(self.formatter, FORMS["legacy"]) else self.format(record)
        priority = next((priority for level, priority in PRIORITIES if record.levelno >= level), syslog.LOG_DEBUG)
        syslog.syslog(priority, text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0"))
