"""Memory in large pages: what is densely used, and nothing else."""

import ctypes
import mmap
import re
import time

import pytest

from diskkv.server import hugepages
from diskkv.server.hugepages import HugePages
from diskkv.server.memory import PAGE

LARGE = 2 << 20
SIZE = 8 * LARGE


def mapping(every: int) -> mmap.mmap:
    """Private memory, of which every so many-th page is used: a mapping of its own, and one page."""
    memory = mmap.mmap(-1, SIZE + PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # The system makes one mapping of neighbours of one kind, and tells their large pages together: this one is of another kind than what
    # lies before and than its own last page.
    memory.madvise(mmap.MADV_DONTDUMP, 0, SIZE)
    for at in range(0, SIZE, every * PAGE):
        memory[at] = 1
    return memory


def where(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def kept(memory: mmap.mmap, what: str) -> int:
    """So many bytes of what smaps tells of some memory, which is one mapping."""
    start = where(memory)
    found = 0
    inside = False
    with open("/proc/self/smaps") as file:
        for line in file:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if head is not None:
                inside = int(head[1], 16) == start
                assert not inside or int(head[2], 16) == start + SIZE
            elif inside and line.startswith(what + ":"):
                found += int(line.split()[1]) * 1024
    return found


def present(memory: mmap.mmap) -> int:
    """So many of its pages are in memory."""
    with open("/proc/self/pagemap", "rb") as file:
        file.seek(where(memory) // PAGE * hugepages.ENTRY)
        return file.read(SIZE // PAGE * hugepages.ENTRY)[hugepages.ENTRY - 1 :: hugepages.ENTRY].translate(hugepages.PRESENT).count(1)


def gather_all(pages: HugePages) -> None:
    pages.gather()
    while pages.unfinished:
        pages.gather()


def test_what_is_densely_used_is_moved_and_keeps_its_content() -> None:
    pages = HugePages()
    memory = mapping(1)
    content = memory[:]
    assert pages.due()
    gather_all(pages)
    assert memory[:] == content
    # Where the system has large pages and had some left, most of it lies in them now, or does when pages that were just being looked at
    # by others have been tried again.
    for _ in range(50):
        if not hugepages._size() or pages.exhausted or kept(memory, "AnonHugePages") >= SIZE // 2:
            break
        time.sleep(0.1)
        pages = HugePages()
        gather_all(pages)
    else:
        pytest.fail("it is not moved")
    # Moving may take much memory itself, where other tests have left much that is nearly dense.
    gather_all(pages)
    assert not pages.due() or not hugepages._size()


def test_what_is_sparsely_used_stays_as_small_as_it_was() -> None:
    memory = mapping(2)
    gather_all(HugePages())
    assert present(memory) == SIZE // PAGE // 2
    assert kept(memory, "AnonHugePages") == 0


def test_large_pages_of_a_neighbour_are_not_taken_for_its_own() -> None:
    dense = mapping(1)
    sparse = mapping(2)
    gather_all(HugePages())
    assert kept(sparse, "AnonHugePages") == 0
    assert present(dense) == SIZE // PAGE


def test_it_is_left_alone_where_large_pages_are_switched_off(tmp_path, monkeypatch) -> None:
    switch = tmp_path / "enabled"
    switch.write_text("always madvise [never]\n")
    monkeypatch.setattr(hugepages, "SWITCH", str(switch))
    pages = HugePages()
    assert not pages.due()
    memory = mapping(1)
    pages.gather()
    assert kept(memory, "AnonHugePages") == 0


def test_it_gives_up_where_the_own_pages_may_not_be_looked_at(monkeypatch) -> None:
    monkeypatch.setattr(hugepages, "PAGEMAP", "/proc/self/there-is-no-such-file")
    pages = HugePages()
    pages.gather()
    assert not pages.due()
