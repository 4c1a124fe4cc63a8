"""Extended regular expressions over bytes, as ARGREP has them, in time linear in the text whatever the expression is.

The syntax is POSIX' with what TRE, Redis' library, adds: `\\w \\s \\d` and their opposites, `\\b \\B \\< \\>`, `\\t \\n \\r \\f \\a`,
`\\e \\xHH`, `\\Q...\\E`, quantifiers followed by `?`, `(?:...)` and `(?i)`. Python's `re` knows
neither POSIX' brackets nor a bound on its time.

An expression is compiled to a program: instructions with relative jumps, so that a part is repeated by repeating its instructions. The
places that a program may be at together make a state of an automaton, whose states are made as texts ask for them.
"""

from __future__ import annotations

from itertools import chain

Instruction = tuple[int, int, int]
Program = list[Instruction]

# A byte of a set (the bits of a mask); go elsewhere; go to either; go on if something holds here.
SET, JUMP, SPLIT, ASSERT = range(4)
START, STOP, WORD_START, WORD_STOP, EDGE, NO_EDGE = range(6)
# What comes after the last byte.
END = 256
# What stands before a place.
NOTHING, WORDLY, OTHER = range(3)

ALL = (1 << 256) - 1
# A program has no more instructions, and parentheses are nested no deeper.
LARGEST = 10_000
REPEATED = 255
# So many states are kept.
STATES = 1000


class BadExpression(ValueError):
    """It is none; the text says why as TRE does."""


def _mask(text: bytes) -> int:
    return sum(1 << byte for byte in set(text))


DIGIT, LOWER, UPPER = _mask(b"0123456789"), _mask(bytes(range(97, 123))), _mask(bytes(range(65, 91)))
ALPHA = LOWER | UPPER
ALNUM = ALPHA | DIGIT
WORD = ALNUM | _mask(b"_")
SPACE = _mask(b" \t\n\v\f\r")
GRAPH = _mask(bytes(range(33, 127)))
NEWLINE = _mask(b"\n")
CLASSES = {
    b"alnum": ALNUM,
    b"alpha": ALPHA,
    b"blank": _mask(b" \t"),
    b"cntrl": _mask(bytes(range(32)) + b"\x7f"),
    b"digit": DIGIT,
    b"graph": GRAPH,
    b"lower": LOWER,
    b"print": GRAPH | _mask(b" "),
    b"punct": GRAPH & ~ALNUM,
    b"space": SPACE,
    b"upper": UPPER,
    b"xdigit": _mask(b"0123456789abcdefABCDEF"),
}
MACROS = {
    ord("w"): WORD,
    ord("W"): ALL & ~WORD,
    ord("s"): SPACE,
    ord("S"): ALL & ~SPACE,
    ord("d"): DIGIT,
    ord("D"): ALL & ~DIGIT,
    ord("t"): _mask(b"\t"),
    ord("n"): NEWLINE,
    ord("r"): _mask(b"\r"),
    ord("f"): _mask(b"\f"),
    ord("a"): _mask(b"\a"),
    ord("e"): _mask(b"\x1b"),
}
EDGES = {ord("b"): EDGE, ord("B"): NO_EDGE, ord("<"): WORD_START, ord(">"): WORD_STOP}
HEX_DIGITS = b"0123456789abcdefABCDEF"


class _Open:
    """A parenthesis that is open still, or the whole: the branches that are done, the parts of the present one, and what held before."""

    __slots__ = ("branches", "flags", "parts")

    def __init__(self, flags: tuple[bool, bool]) -> None:
        self.branches: list[Program] = []
        self.parts: list[Program] = []
        self.flags = flags

    def close(self) -> Program:
        """The program of all branches."""
        self.next_branch()
        result = self.branches[-1]
        for branch in reversed(self.branches[:-1]):
            result = [(SPLIT, 1, len(branch) + 2), *branch, (JUMP, len(result) + 1, 0), *result]
        return _sized(result)

    def next_branch(self) -> None:
        self.branches.append(_sized(list(chain.from_iterable(self.parts))))
        self.parts = []


def _sized(program: Program) -> Program:
    if len(program) > LARGEST:
        raise BadExpression("Out of memory")
    return program


def _repeated(part: Program, low: int, high: int | None) -> Program:
    size = len(part)
    if (size + 1) * max(low, high or 0) > LARGEST:
        raise BadExpression("Out of memory")
    required = part * low
    if high is not None:
        return required + [(SPLIT, 1, size + 1), *part] * (high - low)
    if low:
        return [*required, (SPLIT, -size, 1)]
    return [(SPLIT, 1, size + 2), *part, (JUMP, -size - 1, 0)]


class _Reader:
    """Reads an expression from front to back."""

    def __init__(self, text: bytes, *, nocase: bool) -> None:
        self.text = text
        self.at = 0
        self.nocase = nocase
        self.lines = False
        self.quoting = False
        self.groups = 0
        # the highest number of a group that is referred to, -1 for none
        self.referred = -1

    def read(self) -> Program:
        text = self.text
        stack: list[_Open] = []
        present = _Open((self.nocase, self.lines))
        while self.at < len(text):
            byte = text[self.at]
            if self.quoting:
                if text.startswith(b"\\E", self.at):
                    self.at += 2
                    self.quoting = False
                else:
                    self.at += 1
                    present.parts.append(self._repeats(self._literal(byte)))
            elif byte == ord("|"):
                self.at += 1
                present.next_branch()
            elif byte == ord(")") and stack:
                self.at += 1
                self.nocase, self.lines = present.flags
                part = present.close()
                present = stack.pop()
                present.parts.append(self._repeats(part))
            elif byte == ord("("):
                before = self.nocase, self.lines
                if self._opens():
                    stack.append(present)
                    present = _Open(before)
            elif byte in b"*+?{":
                # What is repeated is nothing.
                present.parts.append(self._repeats([]))
            else:
                present.parts.append(self._repeats(self._atom()))
        if stack:
            raise BadExpression("Missing ')'")
        if self.referred > self.groups:
            raise BadExpression("Invalid back reference")
        return present.close()

    def _opens(self) -> bool:
        """Read a parenthesis and what belongs to it; whether it is to be closed."""
        text = self.text
        self.at += 1
        if text[self.at : self.at + 1] != b"?":
            self.groups += 1
            return True
        value = True
        while self.at < len(text):
            self.at += 1
            match text[self.at : self.at + 1]:
                case b"i":
                    self.nocase = value
                case b"n":
                    self.lines = value
                case b"-":
                    value = False
                case b"r" | b"U":
                    # how much a group takes, of which nobody asks
                    pass
                case b":" | b")" as sign:
                    self.at += 1
                    return sign == b":"
                case b"#":
                    self.at = text.find(b")", self.at) + 1
                    if not self.at:
                        break
                    return False
                case _:
                    break
        raise BadExpression("Invalid regexp")

    def _atom(self) -> Program:
        byte = self.text[self.at]
        self.at += 1
        match byte:
            case 0x5B:  # [
                return self._bracket()
            case 0x2E:  # .
                return [(SET, ALL & ~NEWLINE if self.lines else ALL, 0)]
            case 0x5E:  # ^
                return [(ASSERT, START, 0)]
            case 0x24:  # $
                return [(ASSERT, STOP, 0)]
            case 0x5C:  # \
                return self._escape()
        return self._literal(byte)

    def _literal(self, byte: int) -> Program:
        return [(SET, self._folded(1 << byte), 0)]

    def _folded(self, mask: int) -> int:
        return mask | (mask & LOWER) >> 32 | (mask & UPPER) << 32 if self.nocase else mask

    def _escape(self) -> Program:
        text = self.text
        if self.at >= len(text):
            raise BadExpression("Trailing backslash")
        byte = text[self.at]
        self.at += 1
        if byte == ord("Q"):
            self.quoting = True
            return []
        if byte in MACROS:
            return [(SET, MACROS[byte], 0)]
        if byte in EDGES:
            return [(ASSERT, EDGES[byte], 0)]
        if byte == ord("x"):
            return self._hexadecimal()
        if byte in b"0123456789":
            self.referred = max(self.referred, byte - ord("0"))
            return []
        return self._literal(byte)

    def _hexadecimal(self) -> Program:
        text = self.text
        if text[self.at : self.at + 1] == b"{":
            stop = text.find(b"}", self.at)
            digits = text[self.at + 1 : stop]
            if stop < 0 or digits.strip(HEX_DIGITS):
                raise BadExpression("Missing '}'")
            self.at = stop + 1
        else:
            digits = text[self.at : self.at + 2]
            while digits.strip(HEX_DIGITS):
                digits = digits[:-1]
            self.at += len(digits)
        number = int(digits or b"0", 16)
        # No byte is greater.
        return self._literal(number) if number < 256 else [(SET, 0, 0)]

    def _bracket(self) -> Program:
        text = self.text
        size = len(text)
        negated = text[self.at : self.at + 1] == b"^"
        self.at += negated
        first, mask = True, 0
        while True:
            at = self.at
            if at >= size:
                raise BadExpression("Missing ']'")
            byte, following = text[at], text[at + 1 : at + 2]
            if byte == ord("]") and not first:
                self.at += 1
                break
            if following == b"-" and at + 2 < size and text[at + 2] != ord("]"):
                if byte > text[at + 2]:
                    raise BadExpression("Invalid character range")
                mask |= (1 << text[at + 2] + 1) - (1 << byte)
                self.at += 3
            elif byte == ord("[") and following in (b".", b"="):
                raise BadExpression("Unknown collating element")
            elif byte == ord("[") and following == b":":
                stop = text.find(b":", at + 2)
                found = CLASSES.get(text[at + 2 : stop]) if stop > 0 else None
                if found is None:
                    raise BadExpression("Unknown character class name")
                mask |= found
                self.at = stop + 2
            else:
                if byte == ord("-") and not first and following not in (b"]", b""):
                    raise BadExpression("Invalid character range")
                mask |= 1 << byte
                self.at += 1
            first = False
        mask = self._folded(mask)
        if negated:
            mask = ALL & ~mask & ~(NEWLINE if self.lines else 0)
        return [(SET, mask, 0)]

    def _repeats(self, part: Program) -> Program:
        """A part with the signs behind it that say how often it comes."""
        text = self.text
        if self.quoting:
            if not text.startswith(b"\\E", self.at):
                return part
            self.at += 2
            self.quoting = False
        while self.at < len(text):
            high: int | None
            match text[self.at]:
                case 0x2A:  # *
                    low, high = 0, None
                case 0x2B:  # +
                    low, high = 1, None
                case 0x3F:  # ?
                    low, high = 0, 1
                case 0x7B:  # {
                    low, high = self._bounds()
                case _:
                    break
            self.at += 1
            behind = text[self.at : self.at + 1]
            if behind == b"?":
                # As little as may be: whether it is found is the same.
                self.at += 1
            elif behind in (b"*", b"+"):
                raise BadExpression("Invalid use of repetition operators")
            part = _sized(_repeated(part, low, high))
        return part

    def _bounds(self) -> tuple[int, int | None]:
        """Read up to the closing brace."""
        self.at += 1
        begun = self.at
        least = self._number()
        most = least
        if self.text[self.at : self.at + 1] == b",":
            self.at += 1
            most = self._number()
        if most >= 0 and (least > most or most > REPEATED):
            raise BadExpression("Invalid contents of {}")
        if self.at >= len(self.text):
            raise BadExpression("Missing '}'")
        if self.at == begun or self.text[self.at] != ord("}"):
            raise BadExpression("Invalid contents of {}")
        if least < 0 and most < 0:
            return 1, 1
        return max(least, 0), most if most >= 0 else None

    def _number(self) -> int:
        """A number, -1 for none."""
        begun = self.at
        while self.at < len(self.text) and self.text[self.at] in b"0123456789":
            self.at += 1
        return min(int(self.text[begun : self.at][:9]), LARGEST) if self.at > begun else -1


class _State:
    """Places of the program, what stands before them, and what follows by the next byte, None where it is not known yet."""

    __slots__ = ("before", "following", "places")

    def __init__(self, places: frozenset[int], before: int) -> None:
        self.places = places
        self.before = before
        self.following: list[_State | None] = [None] * (END + 1)


FOUND = _State(frozenset(), NOTHING)
MISSED = _State(frozenset(), NOTHING)


class Expression:
    """A compiled expression. BadExpression when the text is none."""

    __slots__ = ("_first", "_program", "_states", "refers")

    def __init__(self, text: bytes, *, nocase: bool = False) -> None:
        reader = _Reader(text, nocase=nocase)
        self._program = reader.read()
        # It refers to what a group has found, which can't be searched for in linear time.
        self.refers = reader.referred >= 0
        self._states: dict[tuple[frozenset[int], int], _State] = {}
        self._first = _State(frozenset((0,)), NOTHING)

    def found_in(self, text: bytes) -> bool:
        """Whether it matches somewhere in a text."""
        state = self._first
        for byte in text:
            following = state.following[byte] or self._follow(state, byte)
            if following is FOUND:
                return True
            state = following
        return (state.following[END] or self._follow(state, END)) is FOUND

    def _follow(self, state: _State, byte: int) -> _State:
        found = state.following[byte] = self._next(state, byte)
        return found

    def _next(self, state: _State, byte: int) -> _State:
        program = self._program
        stack = list(state.places)
        seen = set(stack)
        # It may begin anywhere.
        following = {0}
        while stack:
            at = stack.pop()
            if at == len(program):
                return FOUND
            kind, first, second = program[at]
            if kind == SET:
                if first >> byte & 1:
                    following.add(at + 1)
                continue
            if kind == ASSERT:
                targets: tuple[int, ...] = (at + 1,) if _holds(first, state.before, byte) else ()
            else:
                targets = (at + first, at + second) if kind == SPLIT else (at + first,)
            for target in targets:
                if target not in seen:
                    seen.add(target)
                    stack.append(target)
        if byte == END:
            return MISSED
        return self._state(frozenset(following), WORDLY if WORD >> byte & 1 else OTHER)

    def _state(self, places: frozenset[int], before: int) -> _State:
        found = self._states.get((places, before))
        if found is None:
            if len(self._states) >= STATES:
                self._states.clear()
                self._first.following = [None] * (END + 1)
            found = self._states[places, before] = _State(places, before)
        return found


def _holds(what: int, before: int, byte: int) -> bool:
    """Whether something holds between what stands before and a byte."""
    if what == START:
        return before == NOTHING
    if what == STOP:
        return byte == END
    after, word = bool(WORD >> byte & 1), before == WORDLY
    if what == WORD_START:
        return after and not word
    if what == WORD_STOP:
        return word and not after
    # Both ends of the text are edges, whatever stands there.
    edge = before == NOTHING or byte == END or word != after
    return edge if what == EDGE else not edge
