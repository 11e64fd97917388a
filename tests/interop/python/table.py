"""Prints the results of the interop tests as a Markdown table: role and case by version and backend;
or those of the conformance tests: case by transport.

    table.py [target/interop/results.tsv | target/conformance/results.tsv]

The last line of a case counts.
"""

import sys


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "target/interop/results.tsv"
    outcomes = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            version, core, role, case, outcome = line.rstrip("\n").split("\t")
            outcomes[role, case, f"{version} {core}".strip()] = outcome

    kinds = sorted({kind for _, _, kind in outcomes}, key=newest_first)
    cases = sorted({(role, case) for role, case, _ in outcomes})
    notes = []
    print("| role | case |", *(f"{kind} |" for kind in kinds))
    print("|---|---|" + "---|" * len(kinds))
    for role, case in cases:
        cells = [shown(outcomes.get((role, case, kind), ""), notes) for kind in kinds]
        print(f"| {role} | {case} |", *(f"{cell} |" for cell in cells))
    for number, note in enumerate(notes, 1):
        print(f"\n({number}) {note}")


def newest_first(kind):
    version, _, core = kind.partition(" ")
    is_version = version[0].isdigit()
    return (not is_version, [-int(part) for part in version.split(".")] if is_version else [], version, core)


def shown(outcome, notes):
    """Long outcomes become notes."""
    if not outcome.startswith("as documented"):
        return outcome
    if outcome not in notes:
        notes.append(outcome)
    return f"({notes.index(outcome) + 1})"


main()
