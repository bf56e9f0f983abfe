"""What becomes of events when things break: seeded tests that hurt real brokers, processes and connections.

A broker, a proxy or a process is killed, frozen, filled up or cut off at a moment that the seed picks, and one question
is asked: is every event that was confirmed handled, or a dead letter? Handled twice is allowed, and counted.

- `platforms` is the table of brokers. A new adapter adds a row, and every test here runs on it. What a broker lacks is
  None there, and the tests that need it are skipped with that reason.
- `worker` is the program that consumes or sends in a process of its own. It writes a line to a `journal` for everything
  that happens to an event; a SIGKILL loses none that were written.
- `scene` is what a test has at hand: a broker that may be hurt, workers, buses, the journal. Tests wait for lines of the
  journal, never for time to pass, unless the time is the fault itself.
- `account` compares what was sent with what became of it, and prints the line that a run of many is counted by.

The outbox has a scene of its own, as its question is another one: is every commit of one service an effect of another, once,
and in the order of its key? `bookkeeping` is the program of both services and of the relay, `ledger` what its tests have at
hand, and what is true stands in tables instead of the journal.

The seed is in that line; `FAULTS_SEED=7` picks another. Ten times in a row, with the duplicates counted:

    python -m tests.faults --times 10
"""
