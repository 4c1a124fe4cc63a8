"""From a line to what is printed for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import BinaryIO

import click

from diskkv.cli.shell_docs import Docs
from diskkv.cli.shell_format import Style, invalidation
from diskkv.cli.shell_help import help_text
from diskkv.cli.shell_links import Place, TcpPlace
from diskkv.cli.shell_replies import Kind, LinkError, Reply
from diskkv.cli.shell_session import Login, Session, ask_aside
from diskkv.cli.shell_words import split

LISTENING = {b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"MONITOR"}

# Commands whose reply is a text laid out in lines: it is printed as it is, whatever the format.
TEXTS = {
    b"INFO",
    b"LOLWUT",
    b"CLIENT INFO",
    b"CLIENT LIST",
    b"CLUSTER INFO",
    b"CLUSTER NODES",
    b"DEBUG HTSTATS",
    b"DEBUG HTSTATS-KEY",
    b"LATENCY DOCTOR",
    b"LATENCY GRAPH",
    b"MEMORY DOCTOR",
    b"MEMORY MALLOC-STATS",
}

SLOW = 0.5


class Quit(Exception):
    """Not an error: the shell is to end, because the user says so or because it was told to stop at an error."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the shell goes about it: the style of replies, seconds to wait after each run, whether pushes that nobody asked for are
    shown, and whether the first error goes to stderr and ends it (`strict`)."""

    style: Style
    interval: float = 0.0
    show_pushes: bool = False
    strict: bool = False


class Shell:
    """Runs commands at a place and prints their replies to `out`, which is flushed after each.

    `failed` tells whether a command so far had an error for a reply, `lost` whether one got no reply at all. Ctrl-C comes out of every
    call as KeyboardInterrupt; `recover` then makes the shell fit for the next line.
    """

    def __init__(self, place: Place, login: Login, manner: Manner, out: BinaryIO) -> None:
        session = Session(place, login, on_push=self.show_push, on_refusal=self.warn)
        self.session = session
        self.docs = Docs(lambda argv: ask_aside(session, argv) if session.connected else None, lambda: session.logins)
        self.hints = True
        self.failed = False
        self.lost = False
        self._manner = manner
        self._out = out

    def prompt(self) -> str:
        session = self.session
        if not session.connected:
            return "not connected> "
        database = session.login.database
        return session.place.label + (f"[{database}]" if database else "") + ("(TX)" if session.in_multi else "") + "> "

    def connect(self) -> None:
        """Connect, or say why not."""
        try:
            self.session.connect()
        except LinkError as error:
            self._complain(error)

    def recover(self) -> None:
        """After Ctrl-C a reply may still be on its way: take a new link, on which nothing is."""
        self._print(b"\n")
        self.connect()

    def run_lines(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.run_line(line)

    def run_line(self, line: bytes) -> None:
        """Do what a line says; raises Quit if it says to leave."""
        words = split(line)
        if words is None:
            self._print(b"Invalid argument(s)\n")
            return
        repeat = 1
        if len(words) > 1 and _is_number(words[0]):
            repeat = int(words[0])
            del words[0]
            if repeat < 1:
                self._print(b"Invalid repeat count\n")
                return
        if words and not self._run_own(words):
            began = os.times().elapsed
            self.run(words, repeat=repeat)
            if (took := os.times().elapsed - began) >= SLOW and self._manner.style.name == "standard":
                self._print(b"(%.2fs)\n" % took)

    def run(self, argv: Sequence[bytes], *, repeat: int = 1) -> None:
        """Send a command `repeat` times (for ever if negative) and print its replies."""
        name = argv[0].upper()
        if name in (b"HELP", b"?"):
            self._help(argv[1:])
            return
        try:
            while repeat:
                repeat -= 1
                if name in LISTENING:
                    self._listen(argv)
                else:
                    as_is = name in TEXTS or b" ".join(argv[:2]).upper() in TEXTS
                    self._show(self.session.call(argv), as_is=as_is)
                if self._manner.interval:
                    # Not `repeat and`: redis-cli waits after the last one too, and scripts pace themselves by it.
                    Event().wait(self._manner.interval)
        except LinkError as error:
            if name == b"SHUTDOWN":
                return
            self._complain(error)

    def show_push(self, reply: Reply) -> None:
        """Print a push that came between replies."""
        if self._manner.show_pushes:
            line = invalidation(reply) if self._manner.style.name == "standard" else None
            self._print(line or self._manner.style.format(reply))

    def warn(self, text: str) -> None:
        click.echo(text, err=True)

    def _run_own(self, words: list[bytes]) -> bool:
        """Obey a word that is the shell's own; False if it is a command to be sent."""
        match [word.lower() for word in words]:
            case [b"quit" | b"exit"]:
                raise Quit
            case [b"clear"]:
                if sys.stdout.isatty():
                    self._print(b"\x1b[H\x1b[2J")
            case [b"connect", _, port] if _is_number(port):
                self.session.move(TcpPlace(words[1].decode(errors="replace"), int(port)))
                self.connect()
            case [b":set", b"hints" | b"nohints" as wish]:
                self.hints = wish == b"hints"
            case [word, *_] if word.startswith(b":"):
                self._print(b"There is only `:set hints` and `:set nohints`\n")
            case _:
                return False
        return True

    def _listen(self, argv: Sequence[bytes]) -> None:
        """Print all that comes, until the link breaks or Ctrl-C. A refused or queued command leaves nothing to listen to."""
        self.session.send(argv)
        if argv[0].upper() != b"MONITOR" and self._manner.style.name != "raw":
            self._print(b"Reading messages... (press Ctrl-C to quit)\n")
        while True:
            reply = self.session.read()
            self._show(reply)
            if reply.kind is Kind.ERROR or (reply.kind is Kind.SIMPLE and reply.text == b"QUEUED"):
                return

    def _help(self, argv: Sequence[bytes]) -> None:
        if not self.session.connected:
            self.connect()
        words = [word.decode(errors="replace") for word in argv]
        self._print(help_text(words, self.docs.all(), color=sys.stdout.isatty()).encode())

    def _show(self, reply: Reply, *, as_is: bool = False) -> None:
        if reply.kind is Kind.ERROR:
            self.failed = True
            if self._manner.strict:
                self.warn(reply.text.decode(errors="replace"))
                raise Quit
        self._print(self._manner.style.format(reply, as_is=as_is))

    def _complain(self, error: LinkError) -> None:
        self.lost = True
        self.warn(f"Error: {error}")

    def _print(self, text: bytes) -> None:
        self._out.write(text)
        self._out.flush()


def _is_number(word: bytes) -> bool:
    return word.removeprefix(b"-").isdigit()
