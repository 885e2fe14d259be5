"""The table of docs/dialects.md, from what the matrix of clients and providers came to."""
from .matrix_cases import CASES
from .matrix_clients import BACKS, CLIENTS
from .matrix_gaps import GAPS, gap_of
from .matrix_judge import differences

WORKS, NOT_THERE = "yes", ""


def cell_text(client, back, case, cell, notes):
    gap = gap_of(client, back, case)
    if gap is not None:
        number = notes.setdefault(gap.why, len(notes) + 1)
        return f"{'refused' if gap.refused else 'in part'} [{number}](#gaps)"
    return "**no**" if differences(client, back, case, cell) else WORKS


def table(seen):
    """Clients whose rows are all the same stand together. The columns are the providers' dialects; a case that a client has no words for is no row of its."""
    notes, groups = {gap.why: number for number, gap in enumerate(GAPS, 1)}, {}
    for client in CLIENTS:
        rows = tuple((case.title or case.name, *[cell_text(client, back, case, seen[client.name, back, case.name], notes) for back in BACKS])
                     for case in CASES if (client.name, BACKS[0], case.name) in seen)
        groups.setdefault(rows, []).append(client.title)
    lines = []
    for rows, titles in groups.items():
        lines += [f"### {'; '.join(titles)}", "", f"| | {' | '.join(BACKS)} |", "|---|" + "---|" * len(BACKS)]
        whole = [row[0] for row in rows if set(row[1:]) == {WORKS}]
        lines += [f"| {' | '.join(row)} |" for row in rows if set(row[1:]) != {WORKS}]
        lines += [f"| {'; '.join(whole)} | {' | '.join([WORKS] * len(BACKS))} |", ""]
    lines += ["### Gaps", ""]
    lines += [f"{number}. {why}" for why, number in sorted(notes.items(), key=lambda item: item[1])]
    return "\n".join(lines) + "\n"
