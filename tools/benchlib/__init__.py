"""What `tools/bench` measures, and how it counts.

- `process`   what a server cost: CPU time, memory, bytes written, from /proc.
- `workloads` the commands of the comparison with Redis and the data each needs.
- `commands`  diskkv and redis-server in turns, under redis-benchmark.
- `embedded`  calls in process, against plyvel, diskcache and redis-py.
- `load`      clients of our own: a pipelined loader, a closed loop of readers, a paced reader.
- `large`     more data than memory.
- `report`    tables, CSV, JSON and the plot.

Nothing here passes or fails: it prints what it measured. CPU time per operation is the figure to trust on a busy machine.
"""
