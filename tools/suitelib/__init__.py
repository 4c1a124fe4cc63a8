"""Redis' own Tcl test suite as the judge.

The suite of a Redis checkout runs unchanged in its external mode, unit by unit, each against a fresh server in a private directory:
first redis-server, then diskkv. `checkout` prepares a copy to run in, `units` runs one unit and reads what its tests said,
`verdict` compares the two sides and weighs the differences against `data/deviations.tsv`.
"""
