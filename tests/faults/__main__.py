# ruff: noqa: T201 a program talks to its terminal
"""Runs the fault tests many times, each time with another seed, and adds up what they counted."""

import argparse
import os
import re
import subprocess
import sys
from collections import defaultdict
from typing import Final

LINE: Final = re.compile(r"^faults: (?P<test>\S+) seed=\d+ (?P<counts>.+)$", re.MULTILINE)
SUMMARY: Final = re.compile(r"^=+ (.+ in .+?) =+$", re.MULTILINE)


def run(seed: int, arguments: list[str]) -> tuple[bool, str]:
    """Whether all passed, and what pytest said."""
    command = [sys.executable, "-m", "pytest", "tests/faults", "-rPs", "--tb=short", *arguments]
    environment = {**os.environ, "FAULTS_SEED": str(seed)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode == 0, done.stdout


def counts(text: str) -> dict[str, float]:
    """`sent=5 handled=4` as numbers."""
    return {name: float(value) for name, _, value in (each.partition("=") for each in text.split())}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="how often")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--broker", help="only on this one")
    options, arguments = parser.parse_known_args()
    if options.broker is not None:
        arguments += ["-k", options.broker]
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    failed = 0
    for seed in range(options.seed, options.seed + options.times):
        passed, output = run(seed, arguments)
        failed += not passed
        for match in LINE.finditer(output):
            found[match["test"]].append(counts(match["counts"]))
        print(f"seed {seed}:", *SUMMARY.findall(output), flush=True)
        if not passed:
            print(output.partition("= PASSES =")[0])
    for test, runs in found.items():
        sums = {name: sum(each[name] for each in runs) for name in runs[0]}
        print(f"{test}: {len(runs)} runs,", ", ".join(f"{value:.0f} {name}" for name, value in sums.items()))
    print(f"{options.times - failed} of {options.times} runs passed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
