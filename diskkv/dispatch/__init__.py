"""From argv to reply: the life of a command.

A front (server, client, shell) holds a `Session` per client and calls `Executor.execute(session, argv)` inside a tick. The command is
found in the table (`table.py`, filled by the modules of `commands` as they are imported), its arity is checked, and, if the session or
the whole server is in a state that some commands may not run in, it passes the gates. Then its function runs with the session as
`ctx` and the arguments, and returns a value (`replies.py`), raises a `CommandError`, or returns `Blocked`. If anything changed, the
command's deterministic form goes to the log. Clients that wait for a key that has become ready are served before the next command.
"""
