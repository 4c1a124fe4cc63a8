"""The differential tester: random commands to two servers, every reply compared.

`tools/differential` and `test_differential.py` are its two doors. From the ground up:

- `wire`        a raw RESP2/RESP3 client that keeps the kinds of replies apart, which redis-py does not.
- `servers`     starts and stops diskkv and redis-server in private directories.
- `words`       what stands for a key, a member, a number: mostly sane, sometimes hostile.
- `grammar`     the little language of the command tables, compiled to word sources.
- `tables`      every command with its options, as data: one line per form.
- `steps`       a step of a run, chapters of steps from a seed, and the file form of both.
- `compare`     when two replies count as equal, by command.
- `deviations`  the differences that are known and have a reason (`data/deviations.tsv`).
- `pair`        one logical client, connected to both sides.
- `runner`      plays steps on both sides and yields differences; compares the whole state now and then.
- `shrink`      makes the list of steps that shows a difference as short as it will go.
- `campaign`    a whole run: chapters, differences by signature, what to tell the user.

A run is a pure function of its seed: steps never depend on replies, so a chapter can be replayed from an empty server, in part or in whole.
"""
