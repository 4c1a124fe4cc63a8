"""The store does what dicts would do: each type by itself, all together, and with hardly any memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from diskkv.store import writer
from tests.model.commands import HASHES, LISTS, SETS, STREAMS, STRINGS, WHOLE_DATABASES, WHOLE_KEYS, ZSETS
from tests.model.machine import with_commands

# What hypothesis says of a failure spells out every strategy that a command may be drawn from, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

EVERYTHING = st.one_of(STRINGS, HASHES, LISTS, SETS, ZSETS, STREAMS, WHOLE_KEYS, WHOLE_KEYS, WHOLE_DATABASES)


@pytest.fixture(autouse=True, scope="module")
def impatient() -> Iterator[None]:
    """After a failure, try at once whether the engine can be written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "RETRY_SECONDS", 0.001)
        yield


TestStrings = with_commands("StringMachine", st.one_of(STRINGS, STRINGS, WHOLE_KEYS))
TestHashes = with_commands("HashMachine", st.one_of(HASHES, HASHES, WHOLE_KEYS))
TestLists = with_commands("ListMachine", st.one_of(LISTS, LISTS, WHOLE_KEYS))
TestSets = with_commands("SetMachine", st.one_of(SETS, SETS, WHOLE_KEYS))
TestZsets = with_commands("ZsetMachine", st.one_of(ZSETS, ZSETS, WHOLE_KEYS))
TestStreams = with_commands("StreamMachine", st.one_of(STREAMS, STREAMS, WHOLE_KEYS))
TestStreamsForgotten = with_commands("ForgetfulStreamMachine", st.one_of(STREAMS, STREAMS, WHOLE_KEYS), maxmemory="1mb", forgetful=True)
TestKeys = with_commands("KeyMachine", st.one_of(EVERYTHING, WHOLE_KEYS, WHOLE_KEYS, WHOLE_DATABASES))
TestEverything = with_commands("EverythingMachine", EVERYTHING)
TestLittleMemory = with_commands("LittleMemoryMachine", EVERYTHING, maxmemory="1mb", forgetful=True)
