"""Lines from a terminal: editing, history, completion and grey hints. The only module that knows prompt_toolkit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.output import Output
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style

from diskkv.cli.shell_complete import completions, hint
from diskkv.cli.shell_docs import Docs
from diskkv.cli.shell_words import split

REMEMBERED = 10_000


class Terminal:
    """Asks for lines; `hints` may be switched at any time.

    `source` and `sink` replace the terminal in tests.
    """

    def __init__(self, docs: Docs, history: Path | None, *, source: Input | None = None, sink: Output | None = None) -> None:
        self.hints = True
        self._prompts: PromptSession[str] = PromptSession(
            history=LineHistory(history),
            completer=CommandCompleter(docs),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            input_processors=[HintProcessor(self, docs)],
            style=Style.from_dict({"hint": "fg:ansibrightblack"}),
            enable_open_in_editor=False,
            input=source,
            output=sink,
        )

    def ask(self, prompt: str) -> bytes:
        """One entry of the user's (several lines if they pasted several). EOFError at Ctrl-D; KeyboardInterrupt at Ctrl-C on an
        empty line, which leaves as in redis-cli, while on a line with text it only drops the text."""
        while True:
            try:
                return self._prompts.prompt(prompt).encode(errors="surrogateescape")
            except KeyboardInterrupt:
                if not self._prompts.default_buffer.text:
                    raise


class CommandCompleter(Completer):
    def __init__(self, docs: Docs) -> None:
        self._docs = docs

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        found, typed = completions(document.text_before_cursor, self._docs)
        return [Completion(word, start_position=-len(typed)) for word in found]


class HintProcessor(Processor):
    """Shows the arguments to come after the cursor. They are only drawn, never part of the line, so no key can accept them."""

    def __init__(self, terminal: Terminal, docs: Docs) -> None:
        self._terminal = terminal
        self._docs = docs

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        document = transformation_input.document
        fragments: StyleAndTextTuples = list(transformation_input.fragments)
        shown = self._terminal.hints and not get_app().is_done
        if shown and document.is_cursor_at_the_end and transformation_input.lineno == document.line_count - 1:
            fragments.append(("class:hint", hint(document.text, self._docs)))
        return Transformation(fragments)


class LineHistory(History):
    """A file with one entry a line, readable by its owner only; entries that hold a password are kept out of it."""

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._path = path

    def load_history_strings(self) -> Iterable[str]:
        if self._path is None or not self._path.is_file():
            return []
        lines = self._path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        return reversed(lines[-REMEMBERED:])

    def store_string(self, string: str) -> None:
        if self._path is None:
            return
        public = [line for line in string.split("\n") if line.strip() and not holds_password(line)]
        if public:
            self._path.touch(mode=0o600)
            with self._path.open("a", encoding="utf-8", errors="surrogateescape") as file:
                file.writelines(f"{line}\n" for line in public)


def holds_password(line: str) -> bool:
    """Whether a line is one that may give away a password."""
    words: Sequence[bytes] = [word.upper() for word in split(line.encode(errors="surrogateescape")) or []]
    if words and words[0].isdigit():
        words = words[1:]
    match words:
        case [b"AUTH", *_] | [b"ACL", b"SETUSER", *_]:
            return True
        case [b"HELLO" | b"MIGRATE", *rest]:
            return b"AUTH" in rest or b"AUTH2" in rest
        case [b"CONFIG", b"SET", *rest]:
            return b"REQUIREPASS" in rest or b"MASTERAUTH" in rest
    return False
