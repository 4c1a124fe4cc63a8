"""The child process' program: loads the world that scripts see, and leaves everything to it. Run by its path, and imports nothing of ours.

Descriptors 0 and 1 are the wire. Descriptor 2 is a lifeline on which nothing is ever said: the system kills this process once nobody
holds its other end any more, even while a script runs that looks at nothing.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys

LIFELINE = 2


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
    start(version.encode(), *[part for item in sources.items() for part in item])


main()
