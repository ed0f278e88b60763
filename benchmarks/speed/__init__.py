"""How fast learnd is, beside its peers and beside itself, as ratios of two things that take turns.

    worker.py     a process that runs its pass whenever it is told to
    learners.py   the passes of learnd (in learnd's environment)
    peers.py      the passes of the peers (in theirs, requirements/bench.txt)
    duels.py      who takes turns with whom, and what is to be reached
    table.py      docs/speed.md, made from docs/speed.json

Run it by `make bench-speed ARGS="elec2_river_arf"`, or all of it without ARGS.
"""
