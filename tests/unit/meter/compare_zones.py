#!/usr/bin/env python3
"""Compares src/meter's zones and windows with Python's zoneinfo: compare_zones.py ORACLE [SEED]

Both read the same database, that of the system. Compared are offsets from 1850 to 2150, at random and around every change
of the clocks, and days, weeks and months from 1970 on. What a window should be is found here by looking at the
clock quarter of an hour by quarter of an hour, not by computing it.
"""
import datetime
import functools
import random
import subprocess
import sys
import zoneinfo

ZONES = """UTC Europe/Berlin Europe/Dublin Europe/Lisbon Europe/Moscow America/New_York America/St_Johns America/Sao_Paulo
America/Havana America/Santiago America/Asuncion America/Nuuk America/Scoresbysund America/Caracas America/Toronto
Asia/Kathmandu Asia/Kolkata Asia/Tehran Asia/Gaza Asia/Beirut Asia/Amman Asia/Tokyo Africa/Cairo Africa/Casablanca
Africa/Monrovia Pacific/Chatham Pacific/Apia Pacific/Kiritimati Pacific/Kwajalein Australia/Lord_Howe Australia/Eucla
Antarctica/Troll Etc/GMT+12""".split()
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
HOUR, QUARTER = 3600, 900


def seconds(year, month=1, day=1):
    return int((datetime.datetime(year, month, day, tzinfo=datetime.timezone.utc) - EPOCH).total_seconds())


def local(zone, at):
    return (EPOCH + datetime.timedelta(seconds=at)).astimezone(zone)


def offset(zone, at):
    return int(local(zone, at).utcoffset().total_seconds())


@functools.lru_cache(maxsize=None)
def begin(zone, date):
    """The quarter of an hour in which clocks first show `date` or a later one."""
    midnight = seconds(date.year, date.month, date.day)
    at = midnight - 27 * HOUR
    while local(zone, at).date() < date:
        at += 3 * HOUR
    at -= 6 * HOUR
    # Newfoundland's clocks went back a minute past midnight: it is not enough to look at a quarter's end.
    while all(local(zone, at + second).date() < date for second in (0, 30, QUARTER - 1)):
        at += QUARTER
    return at


def next_month(date):
    return (date.replace(day=1) + 32 * DAY).replace(day=1)


def windows(zone, at):
    date = local(zone, at).date()
    while begin(zone, date + DAY) <= at:
        date += DAY
    monday = date - date.weekday() * DAY
    edges = [date, date + DAY, monday, monday + 7 * DAY, date.replace(day=1), next_month(date)]
    return [max(0, begin(zone, edge)) for edge in edges]


def changes(zone):
    """Every change of the offset that lasts for four days at least."""
    step = 4 * 86400
    grid = range(seconds(1850), seconds(2150), step)
    before = offset(zone, grid[0])
    for at in grid[1:]:
        after = offset(zone, at)
        if after != before:
            low, high = at - step, at
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
            yield high
        before = after


def times_of(zone, source):
    found = list(changes(zone))
    times = [at + delta for at in found for delta in (-1, 0, 1)]
    # Windows around those that lie in the years that matter: the evening before, the day itself, the next.
    for at in source.sample([at for at in found if at > 0], min(60, len([at for at in found if at > 0]))):
        times += [at + source.randrange(-30 * HOUR, 30 * HOUR) for _ in range(6)]
    times += [source.randrange(seconds(1850), seconds(2150)) for _ in range(700)]
    for year in source.sample(range(1970, 2100), 25):
        edge = seconds(year)
        times += [edge + delta * HOUR for delta in range(-15, 16, 3)] + [seconds(year, 3) - 1, seconds(year, 3)]
    return times


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    source = random.Random(seed)
    questions = [(name, at) for name in ZONES for at in times_of(zoneinfo.ZoneInfo(name), source)]
    answer = subprocess.run([sys.argv[1]], input="".join(f"{name} {at}\n" for name, at in questions), text=True,
                            stdout=subprocess.PIPE, check=True).stdout.splitlines()
    assert len(answer) == len(questions) >= 20 * 2000, len(questions)
    wrong, compared = [], 0
    for number, ((name, at), line) in enumerate(zip(questions, answer)):
        zone = zoneinfo.ZoneInfo(name)
        ours = [int(word) for word in line.split()]
        if ours[0] != offset(zone, at):
            wrong.append(f"{name} {at}: offset {ours[0]}, should be {offset(zone, at)}")
        if at >= 0 and number % 4 == 0:  # looking at clocks takes its time
            compared += 1
            if ours[1:] != windows(zone, at):
                wrong.append(f"{name} {at}: day, week, month {ours[1:]}, should be {windows(zone, at)}")
    print(f"seed {seed}: {len(ZONES)} zones, {len(questions)} offsets, {compared} times' windows, {len(wrong)} wrong")
    print("\n".join(wrong[:20]))
    return 1 if wrong else 0


sys.exit(main())
