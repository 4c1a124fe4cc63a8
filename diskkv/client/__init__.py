"""The Python API in process: redis-py, with an executor where its sockets would be.

`Client` and `AsyncClient` are redis-py's `Redis` classes; command methods, argument forms, response callbacks, pipelines, pub/sub and
locks are redis-py's own code, so they behave as with a server. What is ours is what lies below:

- `shared.py`: the stores this process has open, one per directory however many clients there are.
- `caller.py`: one client's session. A tick is one call or one pipeline: it holds the store's lock from its first command to its
  commit, so no other thread sees half of it, and its reply is given only after the log has it.
- `plain.py`: reply values into what redis-py's parser would have read from a socket, in RESP2 or RESP3.
- `sync.py` and `aio.py`: the connections, pools and clients. A command of a client goes straight to the client's one session, which
  all its threads share; whatever has a state or waits (WATCH, pipelines, pub/sub, BLPOP) runs on a connection, that is a session, of
  its own. A command that waits gives up the lock; the one who serves it wakes its thread or its event loop.
- `short.py`: the commonest commands in their simplest form, past redis-py and the command table. They look into the same objects under
  the same lock, or leave the work to the long way. INFO commandstats and the slow log do not see them: counting would cost a fifth.

A store is not carried over a fork: in the child every client raises ConnectionError. Open it in the process that uses it.
"""
