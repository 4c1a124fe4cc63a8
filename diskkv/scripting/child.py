"""The child process' program: loads the world that scripts see, and leaves everything to it. Run by its path, and imports nothing of ours.

Descriptors 0 and 1 are the wire. Descriptor 2 is a lifeline on which nothing is ever said: the system kills this process once nobody
holds its other end any more, even while a script runs that looks at nothing.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import struct
import sys

LIFELINE = 2
# What Lua needs of the system when all is loaded: read, write, mmap, munmap, brk, rt_sigreturn, mremap, madvise, exit, futex,
# clock_gettime and exit_group, by the kernel's names of machines and of their numbers.
SYSTEM_CALLS = {
    "x86_64": (0xC000003E, (0, 1, 9, 11, 12, 15, 25, 28, 60, 202, 228, 231)),
    "aarch64": (0xC00000B7, (63, 64, 222, 215, 214, 139, 216, 233, 93, 98, 113, 94)),
}


def main() -> None:
    directory, version, memory = sys.argv[1], sys.argv[2], int(sys.argv[3])
    here = os.path.dirname(os.path.abspath(__file__))
    fcntl.fcntl(LIFELINE, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(LIFELINE, fcntl.F_SETFL, fcntl.fcntl(LIFELINE, fcntl.F_GETFL) | os.O_ASYNC)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path.append(directory)
    from lupa import lua51

    sources = {}
    for name in ("world", "numbers", "bit", "cjson", "cmsgpack", "struct"):
        with open(os.path.join(here, name + ".lua"), "rb") as file:
            sources[name.encode()] = file.read()
    lua = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False, unpack_returned_tuples=False)
    start = lua.execute(
        b"""
        python = nil
        for name in pairs(package.loaded) do package.loaded[name] = nil end
        package = nil
        return function(version, ...)
          local given, sources = {...}, {}
          for i = 1, #given, 2 do sources[given[i]] = given[i + 1] end
          return loadstring(sources.world, "=host")(version, sources)
        end
        """
    )
    os.chdir("/")
    with open("/proc/self/statm", "rb") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    for limit, value in (
        (resource.RLIMIT_AS, used + memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_NPROC, 0),
    ):  # fmt: skip
        resource.setrlimit(limit, (value, value))
    confine()
    start(version.encode(), *[part for item in sources.items() for part in item])


def confine() -> None:
    """Have the kernel refuse all else: Lua 5.1 has faults by which a script may become machine code (CVE-2014-5461 is one)."""
    number, calls = SYSTEM_CALLS.get(os.uname().machine, (0, ()))
    if not calls:
        return
    load, equal, give = 0x20, 0x15, 0x06
    allow, refuse, kill = 0x7FFF0000, 0x00050001, 0x80000000
    steps = [(load, 0, 0, 4), (equal, 1, 0, number), (give, 0, 0, kill), (load, 0, 0, 0)]
    steps += [(equal, len(calls) - at, 0, call) for at, call in enumerate(calls)]
    steps += [(give, 0, 0, refuse), (give, 0, 0, allow)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    whole = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(program)))
    control = ctypes.CDLL(None).prctl
    control.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    no_new_privileges, filtered = 38, 22
    control(no_new_privileges, 1, 0, 0, 0)
    control(filtered, 2, ctypes.addressof(whole), 0, 0)


main()
