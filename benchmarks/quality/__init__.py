"""How well learnd learns, beside its baselines and its peers, stream by stream.

    streams.py    every stream as one file of JSON lines, the same for learnd and for its peers
    cases.py      what is run on them, and what is to be reached
    learnd.py     runs `learnd backtest` and reads what it wrote
    peers/        the other learners, in an environment of their own (requirements/bench.txt)
    burst.py      a burst of wrong rows against the gate
    scores.py     one way to score all of them, from what they predicted
    results.py    the collected figures, docs/quality.json
    table.py      docs/quality.md, made from them

Run it by `make bench-quality ARGS="spam phishing"`, or all of it without ARGS.
"""
