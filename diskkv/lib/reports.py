"""Lines of a server's report: for people, as Redis writes them, or for machines, with the fields that a message names.

A message that names what it says (`"client %(client)d dropped"` with a dict) has those values as fields in the forms for machines, so
nobody has to take sentences apart.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime
from typing import Any

# Redis has a level between debug and notice.
VERBOSE = 15
LEVELS = {
    "debug": logging.DEBUG, "verbose": VERBOSE, "notice": logging.INFO, "warning": logging.WARNING, "nothing": logging.CRITICAL + 1,
}  # fmt: skip
NAMES = {
    logging.DEBUG: "debug", VERBOSE: "verbose", logging.INFO: "notice", logging.WARNING: "warning", logging.ERROR: "error",
    logging.CRITICAL: "critical",
}  # fmt: skip
MARKS = {logging.DEBUG: ".", VERBOSE: "-", logging.INFO: "*"}
# What logfmt writes without quotes.
BARE = re.compile(r"[\w.:/+@-]+")


def time_of(record: logging.LogRecord, form: str) -> Any:
    """When a record was made: `legacy` as Redis writes it, `iso8601`, or `milliseconds` since 1970."""
    if form == "milliseconds":
        return int(record.created * 1000)
    moment = datetime.fromtimestamp(record.created).astimezone()
    if form == "iso8601":
        return moment.isoformat(timespec="milliseconds")
    return f"{moment:%d %b %Y %H:%M:%S}.{moment.microsecond // 1000:03d}"


class Legacy(logging.Formatter):
    """Redis' own form: process and role, time, a mark for the level, the message; an exception's lines after it."""

    def __init__(self, times: str) -> None:
        super().__init__()
        self.times = times

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        mark = MARKS.get(record.levelno, "#")
        return f"{record.process}:M {time_of(record, self.times)} {mark} {record.message}"


class Structured(logging.Formatter):
    """One object a line: time, level, pid, message, the fields that the message names, and the traceback of an exception."""

    def __init__(self, times: str) -> None:
        super().__init__()
        # Redis' way to write a time is for people.
        self.times = "iso8601" if times == "legacy" else times

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields = {
            "time": time_of(record, self.times), "level": NAMES.get(record.levelno, record.levelname.lower()), "pid": record.process,
            "message": record.getMessage(),
        }  # fmt: skip
        if isinstance(record.args, dict):
            fields |= record.args
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return fields

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record), ensure_ascii=False, default=str)


class Logfmt(Structured):
    """The same as key=value pairs, quoted where need be."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{name}={_quoted(str(value))}" for name, value in self.fields(record).items())


def _quoted(text: str) -> str:
    return text if BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


FORMS: dict[str, type[Legacy] | type[Structured]] = {"legacy": Legacy, "logfmt": Logfmt, "json": Structured}
