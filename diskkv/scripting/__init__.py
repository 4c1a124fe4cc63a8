"""Lua scripts and functions, in a process of their own.

    server process                                   child process, started with the first script
    commands/scripting.py -> Scripts -> Run  <-pipes->  world.lua (+ bit, cjson, cmsgpack, struct), loaded by child.py

The store's process holds no Lua. An error in Lua unwinds the C stack without asking whose frames lie on it, so Lua's own code must be
all that lies there: in the child, Lua is entered once and never left, and speaks with us through its own files. What a script can
reach is two pipes to here, through which it may ask for commands; what it can break is the child, which is then replaced. It costs
less than a call into Python did: a request and its answer take 4 us.

A run: EVAL sends the script's SHA-1, keys and arguments; the child asks for commands, one after the other, and at last says what came
of it. `Run._let_through` is the one gate of these commands. All happens within the caller's command, between `open_atomic` and
`close_atomic`, so the log has a script's effects between MULTI and EXEC, and nobody sees half of them.

A script that takes longer than busy-reply-threshold is held: `Store.hold` commits what came before it, and from then on nothing is
committed, expired or frozen until it is over. The command answers `Blocked` with the run in it; its front parks the client, and
`Scripts.drive` lets the script and the others take turns, in the server by its event loop, elsewhere in a thread. The others get
BUSY, but for SCRIPT KILL and its like. Killing is the child's end, whatever it is doing.

A script's memory is bounded by the system (RLIMIT_AS); Lua answers `not enough memory`. The child ends when its pipe or its lifeline
does. Replies are RESP all the way: what a command answers is encoded once for Lua, and what a script returns is encoded by Lua as its
client speaks, and passed on as it is.
"""
