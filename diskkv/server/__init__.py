"""The network: RESP over TCP and unix sockets, on uvloop. The home of asyncio.

A tick is one round of the reactor (`reactor.py`), which has an epoll set of its own beside the event loop's; clients of TLS, and all
where there is no epoll, arrive by asyncio's transports, and a tick is a round of the loop. The packets that have arrived are executed
as they are read (`connection.py`); the round's last act (`Server.end_tick`) commits what they changed to the log with one write, and
only then do the replies leave. If the log can't be written, the changes are undone, and whoever wrote gets an error instead of the
replies.
"""
