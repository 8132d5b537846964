"""Makes docs/evidence.md: runs every trap fixture and writes down what was seen.

The rows of the running version of Python are made anew; those of other versions are kept.
"""

from __future__ import annotations

import sys

from evidence import EVIDENCE, fixture_name, is_evidence, merge, render, row_of, write
from fixture_runs import Runs, cases, headers
from run_fixture import problems, report

from flake8_mppitfalls.pages.evidence import read_rows


def main() -> int:
    wanted = [case for case in cases() if is_evidence(case.header)]
    runs = Runs()
    rows, wrong = [], 0
    try:
        runs.begin(wanted)
        for case in wanted:
            if not case.header.runs_on():
                continue
            run = runs.first_that(case, lambda run, case=case: not problems(case.header, run))
            if problems(case.header, run):
                wrong += 1
                print(report(case.header, case.start, run))
            else:
                rows.append(row_of(case, run))
    finally:
        runs.close()
    if wrong:
        print(
            f"{wrong} of {len(wanted)} runs contradict their headers: {EVIDENCE.name} is not made"
        )
        return 1
    old = read_rows(EVIDENCE.read_text(encoding="utf-8")) if EVIDENCE.exists() else []
    valid = {(fixture_name(case.header), case.start) for case in wanted}
    changed = write(EVIDENCE, render(merge(old, rows, valid), headers()))
    print(f"{len(rows)} runs; {EVIDENCE.name} {'is new' if changed else 'is as it was'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
