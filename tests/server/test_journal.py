"""The server's report: its forms, its levels, where it goes and what a rotation does to it."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
import syslog
from collections.abc import Iterator
from pathlib import Path

import pytest

from diskkv.config import Settings
from diskkv.errors import SettingError
from diskkv.lib.reports import FORMS, LEVELS, VERBOSE
from diskkv.server.journal import open_journal
from tests.differential import servers
from tests.differential.wire import Connection

journal = logging.getLogger("diskkv.test")


def record(level: int, text: str, *details: object, failure: bool = False) -> logging.LogRecord:
    error = None
    if failure:
        try:
            raise ValueError("what went wrong")
        except ValueError as raised:
            error = (ValueError, raised, raised.__traceback__)
    made = logging.LogRecord("diskkv", level, __file__, 1, text, details, error)
    made.created, made.msecs, made.process = 1_700_000_000.1239, 123.9, 77
    return made


@pytest.mark.parametrize(("level", "mark"), [(logging.DEBUG, "."), (VERBOSE, "-"), (logging.INFO, "*"), (logging.WARNING, "#"), (50, "#")])
def test_the_form_of_redis(level: int, mark: str) -> None:
    line = FORMS["legacy"]("legacy").format(record(level, "%(a)s and %(b)d", {"a": "x", "b": 5}))
    assert re.fullmatch(rf"77:M \d\d Nov 2023 \d\d:\d\d:\d\d\.123 \{mark} x and 5", line), line
    assert FORMS["legacy"]("legacy").format(record(level, "m", failure=True)).splitlines()[-1] == "ValueError: what went wrong"


def test_json() -> None:
    line = FORMS["json"]("legacy").format(record(VERBOSE, "client %(client)d says %(text)s", {"client": 5, "text": b"a\n\"b\xff"}))
    found = json.loads(line)
    assert "\n" not in line
    assert re.fullmatch(r"2023-11-1\dT\d\d:\d\d:\d\d\.123[+-]\d\d:\d\d", found.pop("time"))
    assert found == {"level": "verbose", "pid": 77, "message": "client 5 says b'a\\n\"b\\xff'", "client": 5, "text": "b'a\\n\"b\\xff'"}
    found = json.loads(FORMS["json"]("milliseconds").format(record(logging.ERROR, "100 %", failure=True)))
    assert found["time"] == 1_700_000_000_123
    assert (found["level"], found["message"]) == ("error", "100 %")
    assert found["traceback"].endswith("ValueError: what went wrong")


def test_logfmt() -> None:
    line = FORMS["logfmt"]("milliseconds").format(record(logging.WARNING, "%(path)s: %(error)s", {"path": "/a/b", "error": 'no "x"\n='}))
    assert line == r'time=1700000000123 level=warning pid=77 message="/a/b: no \"x\"\n=" path=/a/b error="no \"x\"\n="'


@pytest.fixture
def kept() -> Iterator[None]:
    """The handlers and the level of the root are put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    for handler in root.handlers:
        # What a full disk did not take is not taken now.
        with contextlib.suppress(OSError):
            handler.close()
    root.handlers = handlers
    root.setLevel(level)


def test_a_rotated_file(kept: None, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "x.log"
    settings = Settings(log_format="json")
    open_journal(settings, str(path))
    journal.warning("one")
    path.rename(tmp_path / "x.log.1")
    journal.warning("two")
    journal.warning("three")
    assert [json.loads(line)["message"] for line in path.read_text().splitlines()] == ["two", "three"]
    # Nowhere to write is no reason to fail, nor to stop trying.
    shutil.rmtree(tmp_path / "logs")
    journal.warning("four")
    journal.warning("five")
    (tmp_path / "logs").mkdir()
    journal.warning("six \udcff")
    assert [json.loads(line)["message"] for line in path.read_text().splitlines()] == ["six \udcff"]
    assert [json.loads(line)["message"] for line in (tmp_path / "x.log.1").read_text().splitlines()] == ["one"]


def test_a_full_disk_loses_lines_and_nothing_else(kept: None, capfd: pytest.CaptureFixture[str]) -> None:
    open_journal(Settings(), "/dev/full")
    journal.warning("lost")
    assert capfd.readouterr() == ("", "")


def test_a_file_that_can_not_be_written(kept: None, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"can't open the log file .*: Is a directory"):
        open_journal(Settings(), str(tmp_path))


def test_levels_change_while_it_is_in_use(kept: None, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    settings = Settings()
    open_journal(settings, str(path))
    said = []
    for name in LEVELS:
        settings.change([("loglevel", name)])
        for other, level in LEVELS.items():
            if other != "nothing":
                journal.log(level, "%s at %s", other, name)
                said += [f"{other} at {name}"] if level >= LEVELS[name] else []
    assert [line.partition("# ")[2] or line.split(maxsplit=6)[6] for line in path.read_text().splitlines()] == said
    settings.change([("log-format", "json"), ("loglevel", "notice")])
    journal.info("now as JSON")
    assert json.loads(path.read_text().splitlines()[-1])["message"] == "now as JSON"


def test_syslog(kept: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, said = [], []
    monkeypatch.setattr(syslog, "openlog", lambda *arguments: opened.append(arguments))
    monkeypatch.setattr(syslog, "syslog", lambda *arguments: said.append(arguments))
    settings = Settings(syslog_enabled="yes", syslog_ident="me", syslog_facility="local3", loglevel="debug")
    open_journal(settings, str(tmp_path / "x.log"))
    assert opened == [("me", syslog.LOG_PID | syslog.LOG_NDELAY, syslog.LOG_LOCAL3)]
    for level in (logging.DEBUG, VERBOSE, logging.INFO, logging.WARNING, logging.ERROR):
        journal.log(level, "a\0b %s", 1)
    assert [text for _, text in said] == ["a\\0b 1"] * 5
    assert [priority for priority, _ in said] == [syslog.LOG_DEBUG, syslog.LOG_DEBUG, syslog.LOG_NOTICE, syslog.LOG_WARNING, syslog.LOG_ERR]
    settings.change([("log-format", "json")])
    journal.info("more")
    assert json.loads(said[-1][1])["message"] == "more"
    assert len((tmp_path / "x.log").read_text().splitlines()) == 6


def test_a_server_reports_as_it_is_told_to() -> None:
    with servers.diskkv("--logfile", "x.log", "--log-format", "json", "--loglevel", "verbose") as server:
        path = server.path / "x.log"
        client = Connection(server.address, patience=60)
        for name in ("verbose", "notice"):
            assert client.call(b"CONFIG", b"SET", b"loglevel", name.encode()) == ("+", b"OK")
            script = f"redis.log(redis.LOG_VERBOSE, 'a word at {name}') redis.log(redis.LOG_NOTICE, 'a note')"
            client.call(b"EVAL", script.encode(), b"0")
        path.rename(server.path / "rotated")
        client.call(b"EVAL", b"redis.log(redis.LOG_WARNING, 'after the rotation')", b"0")
        client.close()
        server.stop()
        early, late = ([json.loads(line) for line in file.read_text().splitlines()] for file in (server.path / "rotated", path))
        assert server.output.read_text() == ""
    said = [(line["level"], line["message"]) for line in early]
    assert [text for level, text in said if text.startswith("a ")] == ["a word at verbose", "a note", "a note"]
    accepted = next(line for line in early if line["message"].startswith("Accepted"))
    assert accepted["level"] == "verbose" and accepted["message"] == f"Accepted {accepted['address']} as client {accepted['client']}"
    assert [line["message"] for line in late] == ["after the rotation", "stopped, everything is on disk"]
