"""Access control: who may run which command on which keys and channels.

`selectors.py` reads rules into permissions and prints them back; `users.py` keeps the users and what happens to their clients when they
change; `access.py` decides about one command; `denials.py` is the log of what was refused; `files.py` writes and reads users as text.

A session whose user may do everything is not `gated`, so its commands never come here (`Session.regate`).
"""
