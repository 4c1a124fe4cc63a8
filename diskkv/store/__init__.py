"""From key to typed value, with time: how a read and a write travel.

A read: `Database.get` finds the decoded object in `objects`, or takes it from the engine and lets the `Cache` know; it alone decides
what is absent, expired, or of the wrong type.

A write: the object from `Database.open` is changed in memory (`Value.touch` first: see `value.py`), and the command's deterministic
form goes into the `Log`. `Store.commit` ends the tick: one write(2) to the log, and only then do replies leave. Now and then the
`Writer` makes a checkpoint of everything dirty, one atomic batch with the log position it stands for, and the log before it goes.
Opening is the engine plus a replay of the log behind the last checkpoint, through the same commands.

What is deleted is dead at once and buried: the `Reclaimer` deletes its records and gives the disk space back; the keeper's thread
frees its memory and expires keys (`Expiry`). `check.py` verifies that all of this holds.
"""
