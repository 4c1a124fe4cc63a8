"""`python -m diskkv` is the same as `diskkv`."""

from diskkv.cli import main

main(prog_name="diskkv")
