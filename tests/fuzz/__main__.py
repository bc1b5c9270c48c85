"""`python -m tests.fuzz`: the properties of input validation, of the book's reader and of the
importers, with random and mutated input for a given time.

May touch: `build/fuzz`, and the examples folder of hypothesis, in which it keeps input that fails.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import orjson

from tests.client import test_shelf_never_raises as shelf
from tests.closes import test_never_raises as door
from tests.sources import test_any_bytes as files
from tests.sources import test_never_raises as importers

PARTS: dict[str, list[Any]] = {
    "door": [
        door.test_random_bytes,
        door.test_random_json,
        door.test_random_members,
        door.test_mutated_events,
        door.test_any_timestamp,
    ],
    "book": [
        shelf.test_the_shelf_takes_anything,
        shelf.test_how_records_are_batched_makes_no_difference,
    ],
    "importers": [
        files.test_any_bytes,
        files.test_damaged_exports,
        importers.test_positions,
        importers.test_fills,
        importers.test_databases,
        importers.test_results,
        importers.test_positions_of_nautilus_trader,
    ],
}
EXAMPLES = """examples:
  python -m tests.fuzz --minutes 10
  python -m tests.fuzz --minutes 60 --part importers
  python -m tests.fuzz --repeat build/fuzz/test_any_bytes-1.bin

Exits with 0 if no input breaks a property, with 1 if one does: then the input is kept in
build/fuzz, and the test of that name fails with the smallest such input."""
TURN_S = 2.0
MOST_BYTES = 4_096
MOST_KEPT = 2_000
SLOW_S = 20.0
"""Seconds after which input is a finding, too, since somebody waits for it."""


@dataclass
class Target:
    """A property, and accepted input, from which more is derived."""

    part: str
    test: Any
    kept: list[bytes] = field(default_factory=list)
    tried: int = 0
    accepted: int = 0
    slowest_s: float = 0.0
    problem: str = ""

    @property
    def name(self) -> str:
        return str(self.test.__name__)

    def once(self, data: bytes) -> None:
        """Try one input; an exception is a finding."""
        began = time.monotonic()
        made = self.test.hypothesis.fuzz_one_input(data)
        took = time.monotonic() - began
        self.tried += 1
        self.slowest_s = max(self.slowest_s, took)
        if took > SLOW_S:
            raise TimeoutError(f"The input took {took:.1f} s.")
        if made is not None:
            self.accepted += 1
            if len(self.kept) < MOST_KEPT:
                self.kept.append(made)


def made(random: Random, kept: list[bytes]) -> bytes:
    """New input, or a change of accepted input."""
    if not kept or random.random() < 0.3:
        return random.randbytes(random.choice([64, 512, MOST_BYTES]))
    data = bytearray(random.choice(kept))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        match random.randrange(4):
            case 0:
                data[at : at + 1] = random.randbytes(1)
            case 1:
                data[at:at] = random.randbytes(random.randint(1, 8))
            case 2:
                del data[at : at + random.randint(1, 16)]
            case _:
                other = random.choice(kept)
                data[at:] = other[random.randrange(len(other) + 1) :]
    return bytes(data[: 2 * MOST_BYTES])


def fuzz(
    targets: list[Target], seed: int, seconds: float, out: Path, say: Callable[[str], None]
) -> None:
    """Try each property in turn, at least once, until the time is up; one that failed is not tried
    again."""
    random = Random(seed)
    end = time.monotonic() + seconds
    turn_s = min(TURN_S, seconds / len(targets))
    while time.monotonic() < end and (left := [t for t in targets if not t.problem]):
        for target in left:
            until = min(end, time.monotonic() + turn_s)
            while not target.problem and (not target.tried or time.monotonic() < until):
                data = made(random, target.kept)
                try:
                    target.once(data)
                except Exception:
                    target.problem = traceback.format_exc()
                    out.mkdir(parents=True, exist_ok=True)
                    path = out / f"{target.name}-{seed}.bin"
                    path.write_bytes(data)
                    say(
                        f"{target.part}: {target.name} fails; its input is {path}\n{target.problem}"
                    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__.split("\n\n")[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--seed", type=int, help="of the input; default: drawn")
    parser.add_argument("--part", choices=list(PARTS), help="this part alone")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="input that was kept")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="(build/fuzz)")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON")
    found = parser.parse_args()
    if not 0 < found.minutes <= 7 * 24 * 60:
        parser.error("--minutes must be more than 0, and at most a week.")
    if found.repeat is not None and not found.repeat.is_file():
        parser.error(f"There is no file {found.repeat}.")
    return found


def main() -> int:
    options = arguments()
    logging.disable(logging.CRITICAL)  # skipped records are the purpose
    parts = [options.part] if options.part else list(PARTS)
    targets = [Target(part, test) for part in parts for test in PARTS[part]]
    if options.repeat is not None:
        name = options.repeat.stem.rpartition("-")[0]
        (target,) = [t for t in targets if t.name == name] or [None]
        if target is None:
            print(f"{options.repeat} names none of {', '.join(t.name for t in targets)}.")
            return 2
        target.once(options.repeat.read_bytes())
        print(f"{name} holds.")
        return 0
    talk = sys.stderr if options.json else sys.stdout
    seed = Random().randrange(1_000_000) if options.seed is None else options.seed
    print(f"Seed {seed}, {options.minutes:g} minutes", file=talk, flush=True)
    fuzz(
        targets, seed, options.minutes * 60, options.out,
        lambda text: print(text, file=talk, flush=True),
    )  # fmt: skip
    bad = [t for t in targets if t.problem]
    if options.json:
        rows = [
            {"part": t.part, "test": t.name, "tried": t.tried, "accepted": t.accepted}
            | {"slowest_s": round(t.slowest_s, 3), "problem": t.problem or None}
            for t in targets
        ]
        print(orjson.dumps({"ok": not bad, "seed": seed, "targets": rows}).decode())
    else:
        for t in targets:
            print(
                f"{t.part:10} {t.name:52} {t.tried:8} tried {t.accepted:8} accepted"
                f" {'FAILS' if t.problem else ''}"
            )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
