"""A gateway whose callers have budgets: keys with users and teams, budgets of every scope, and what was charged in each by the ledger, which is the judge."""
import asyncio
from dataclasses import dataclass

from . import plain
from .keys import database
from .operator import Operator
from .processes import chat_body
from .waiting import until

NO_LIMIT = 10**15


@dataclass
class Caller:
    """A key and whom it belongs to; `id` is that of its family."""
    name: str
    key: str
    id: str
    team: str
    user: str

    @property
    def authorization(self):
        return {"authorization": f"Bearer {self.key}"}

    def scopes(self):
        """{scope: id} as budgets name them."""
        found = {"global": "", "workspace": "default", "key": self.id}
        if self.team:
            found["team"] = f"default/{self.team}"
        if self.user:
            found["user"] = f"default/{self.user}"
        return found


class Governed:
    def __init__(self, instance):
        self.instance, self.operator = instance, Operator(instance)
        self.callers, self.budgets = {}, []

    def caller(self, name, team="", user=""):
        """Makes a key, and its team and user where they are not there."""
        for kind, value in (("teams", team), ("users", user)):
            if value and self.operator.get(f"/api/v1/workspaces/default/{kind}/{value}", status={200, 404}).status == 404:
                self.operator.post(f"/api/v1/workspaces/default/{kind}", {"id": value}, status=201)
        body = {"name": name, **({"team": team} if team else {}), **({"user": user} if user else {})}
        made = self.operator.post("/api/v1/keys", body, status=201).json()
        self.instance.wait_key(made["key"])
        self.callers[name] = Caller(name, made["key"], made["id"], team, user)
        return self.callers[name]

    def budget(self, scope, scope_id, limit, **more):
        body = {"scope": scope, "scope_id": scope_id, "window": "month", "limit_cu_milli": limit, **more}
        made = self.operator.post("/api/v1/budgets", body, status=201).json()
        self.budgets.append(made)
        return made["id"]

    def entries(self):
        """All of the ledger."""
        found, after = [], 0
        while page := self.instance.ledger("--limit", "10000", "--after", str(after)):
            found += page
            after = page[-1]["sequence"]
        return found

    def charged(self, entries=None):
        """{(scope, id): milli-CU} by the ledger."""
        by_id = {caller.id: caller for caller in self.callers.values()}
        sums = {}
        for entry in self.entries() if entries is None else entries:
            caller = by_id.get(entry["key_id"])
            scopes = dict(caller.scopes()) if caller else {"global": "", "workspace": entry["workspace"], "key": entry["key_id"]}
            for name in ("model", "provider"):
                scopes[name] = entry[name]
            for scope in scopes.items():
                sums[scope] = sums.get(scope, 0) + entry["cost_cu_milli"]
        return sums

    def worst_overshoot(self, entries=None):
        """(the most milli-CU that any budget was passed by: 0 is right, the budget)."""
        charged = self.charged(entries)
        over = [(charged.get((budget["scope"], budget["scope_id"]), 0) - budget["limit_cu_milli"], f"{budget['scope']} {budget['scope_id']}")
                for budget in self.budgets if budget["enforcement"] == "hard"]
        worst = max(over, default=(0, ""))
        return max(worst[0], 0), worst[1]

    def metric(self, name):
        return sum(value for (found, _), value in self.instance.metrics().items() if found == name)

    def wait_idle(self):
        """Until nothing is in flight: no hold, no admission, and the journal is read."""
        names = ("weir_meter_holds", "weir_meter_held_cu_milli", "weir_meter_admissions", "weir_journal_backlog_bytes")

        def idle():
            found = {name: self.metric(name) for name in names}
            return found if not any(found.values()) else None

        until(idle, "every hold to end and every entry to be in the ledger", 30, step=0.3)

    def slices(self):
        """What instances may still spend without asking: [(scope, id, unit, amount)] of all counters that have any."""
        scopes = ["", "global", "workspace", "team", "user", "key", "model", "provider"]
        with database(self.instance) as connection:
            rows = connection.execute("SELECT subject & 7, (SELECT text FROM dictionary WHERE id = subject >> 3), unit, amount FROM slice "
                                      "WHERE amount <> 0").fetchall()
        return [(scopes[scope], text, ["milli-CU", "requests", "tokens"][unit], amount) for scope, text, unit, amount in rows]

    def wait_no_slices(self):
        """Until what nobody needs is given back (set meter.slice_idle to little); then a stop leaves none either."""
        found = []

        def gone():
            found[:] = self.slices()
            return not found

        try:
            until(gone, "all slices to go back to the store", 20, step=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}: {found}") from None

    async def chat(self, caller, headers=None, timeout=120, **fields):
        return await plain.call_async(self.instance.address, "/v1/chat/completions", {**caller.authorization, **(headers or {})},
                                      chat_body(**fields), timeout=timeout)

    def together(self, calls):
        """Runs many calls at once, in their order."""
        async def run():
            return await asyncio.gather(*calls)
        return asyncio.run(run())


def govern(make_gateway, simulator, workers=2, **overrides):
    server = {"listen": "127.0.0.1:0", "workers": workers}
    return Governed(make_gateway(simulator, server=server, **overrides))
