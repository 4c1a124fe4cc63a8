"""Data on its way in and out: values as plain content (`rdb.content`) and back, where content comes from and where it goes to.

`values.py` knows the types. Below the commands, it knows no client and no table.
"""
