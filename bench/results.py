"""A row of the table: what every round gave on every side, and the target, if it has one."""
import statistics
from dataclasses import dataclass


@dataclass
class Target:
    limit: float
    beside_nginx: bool  # the limit is for weir / nginx, else for weir's own figure

    def words(self, unit):
        return f"≤ {self.limit:.1f} × nginx" if self.beside_nginx else f"≤ {self.limit:g} {unit}"


def beside_nginx(limit):
    return Target(limit, True)


def at_most(limit):
    return Target(limit, False)


@dataclass
class Row:
    measure: str
    unit: str
    rounds: dict  # the side's name: [a figure a round]
    target: Target = None

    def middle(self, side):
        values = self.rounds.get(side)
        return statistics.median(values) if values else None

    @property
    def ratio(self):
        nginx, weir = self.middle("nginx"), self.middle("weir")
        return weir / nginx if weir is not None and nginx is not None and weir > 0 and nginx > 0 else None

    @property
    def spread(self):
        """How far the rounds lie apart, as a share of the median; the larger of nginx's and weir's. None: a single round."""
        shares = [(max(values) - min(values)) / statistics.median(values) for side, values in self.rounds.items()
                  if side != "direct" and len(values) > 1 and statistics.median(values) > 0]
        return max(shares) if shares else None

    @property
    def met(self):
        """None without a target, or where one side is missing. What is judged is what is shown, two decimals."""
        figure = None if self.target is None else self.ratio if self.target.beside_nginx else self.middle("weir")
        return None if figure is None else round(figure, 2) <= self.target.limit

    def cells(self):
        judged = {None: "", True: "met", False: "**missed**"}[self.met]
        return [f"{self.measure}, {self.unit}" if self.unit else self.measure, *[number(self.middle(side)) for side in ("direct", "nginx", "weir")],
                "" if self.ratio is None else f"{self.ratio:.2f}", self.target.words(self.unit) if self.target else "", judged,
                "" if self.spread is None else f"{self.spread * 100:.0f} %"]


HEADINGS = ["measure", "direct", "nginx", "weir", "weir / nginx", "target", "result", "spread"]


def number(value):
    if value is None:
        return "–"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def print_rows(title, rows):
    """For people who watch: the same cells in columns."""
    lines = [HEADINGS, *[row.cells() for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    print(f"\n{title}")
    for line in lines:
        print("  " + line[0].ljust(widths[0]) + "".join("  " + cell.rjust(width) for cell, width in zip(line[1:], widths[1:])))
    print(flush=True)
