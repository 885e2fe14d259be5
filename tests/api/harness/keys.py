"""Keys and workspaces changed behind a running gateway's back: rows written into its database, as another process writes them."""
import contextlib
import json
import sqlite3

from .waiting import PATIENCE


@contextlib.contextmanager
def database(gateway):
    path, = (gateway.folder / "data").glob("*.db")
    with contextlib.closing(sqlite3.connect(path, timeout=10 * PATIENCE)) as connection, connection:
        yield connection


def change_key(gateway, name, **columns):
    """Sets columns of the key of that name; gives its id."""
    assigned = ", ".join(f"{column} = ?" for column in columns)
    with database(gateway) as connection:
        rows = connection.execute(f"UPDATE api_key SET {assigned}, version = version + 1, change = (SELECT max(change) + 1 FROM api_key) "
                                  "WHERE name = ? RETURNING id", [*columns.values(), name]).fetchall()
    (key_id,), = rows
    return key_id


def id_of(gateway, name):
    with database(gateway) as connection:
        (key_id,), = connection.execute("SELECT id FROM api_key WHERE name = ?", [name]).fetchall()
    return key_id


def set_rules(gateway, name, rules):
    """`rules`: a dict, or a text that may be none."""
    return change_key(gateway, name, rules=rules if isinstance(rules, str) else json.dumps(rules))


def suspend(gateway, workspace, suspended):
    with database(gateway) as connection:
        changed = connection.execute("UPDATE object SET text = json_set(text, '$.suspended', json(?)), version = version + 1, "
                                     "change = (SELECT max(change) + 1 FROM object) WHERE kind = 2 AND id = ? AND removed = 0",
                                     ["true" if suspended else "false", workspace]).rowcount
    assert changed == 1, f"there is no workspace {workspace}"


def settle(gateway):
    """Waits until the gateway knows of all changes to keys that were made before: a new key comes behind them."""
    gateway.wait_key(gateway.create_key("settled"))
