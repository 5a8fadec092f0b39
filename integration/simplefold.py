#!/usr/bin/env python3
"""The view hash of a mesh, from the nodes' JSONL files alone.

    simplefold.py NODE=DIRECTORY...    each a peer id and a directory with one log

Written from docs/formats.md ("Lines", "The fold", "View hash"), in another
language, so that not even a JSON library is shared with what it checks. It keeps
everything in memory and goes through it again and again: what is right here is
easy to see.
"""

import hashlib
import json
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


# Lines. A type is a function that says whether a value is of it.

def text(pattern):
    return lambda v: type(v) is str and re.fullmatch(pattern, v, re.DOTALL) is not None


def integer(low, high):
    return lambda v: type(v) is int and low <= v < high


def optional(of):
    return lambda v: v is None or of(v)


def every(of):
    return lambda v: type(v) is list and all(map(of, v))


def fields(**of):
    return lambda v: type(v) is dict and all(of[name](v.get(name)) for name in of)


def peer(v):
    """An Ed25519 peer id: base58 of a zero, 24 08 01 12 20, and a key of 32 bytes."""
    digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    if not text(f"1[{digits[1:]}][{digits}]+")(v):
        return False
    number = 0
    for c in v:
        number = number * 58 + digits.index(c)
    return number >> 256 == 0x2408011220


def boolean(v):
    return type(v) is bool


string, hex16, hex32 = text(".*"), text("[0-9a-f]{32}"), text("[0-9a-f]{64}")
u32, u64, i32 = integer(0, 1 << 32), integer(0, 1 << 64), integer(-1 << 31, 1 << 31)
dots = every(fields(node=string, log=hex32, seq=u64))
ranges = every(lambda v: fields(log=hex32, first=u64, end=u64)(v) and v["first"] < v["end"])
mark = {"node": peer, "request_id": hex16, "by": string}
who = {"request_id": hex16, "agent_id": hex32, "machine_id": hex32, "argv": every(string)}

EVENTS = {
    "request": fields(**who, matched_acl=optional(string), stdin_bytes=u64, timeout_ms=u32),
    "started": fields(request_id=hex16, pid=u32),
    "warning": fields(request_id=hex16, kind=string, bytes=optional(u64)),
    "exit": fields(request_id=hex16, code=optional(i32), signal=optional(i32), duration_ms=u64,
                   stdout_bytes=u64, stderr_bytes=u64, truncated=boolean),
    "denial": fields(**who, reason=string),
    "task_removed": lambda v: (
        fields(request_id=optional(hex16), ranges=optional(ranges), reason=string)(v)
        and (v.get("request_id") is None) == bool(v.get("ranges"))),
    "task_claimed": fields(**mark),
    "task_completed": fields(**mark),
    "task_released": fields(**mark, replaces=dots),
    "task_noted": fields(**mark, field=text("note|priority|assignee"), value=string, replaces=dots),
    "log_succeeded": fields(log=hex32, size=u64, root=hex32, reason=string),
}
TAGS = ("request", "started", "warning", "exit", "denial", "x-")


@dataclass
class Record:
    """A line that operates."""
    node: str
    log: str
    seq: int
    f: dict

    def __post_init__(self):
        self.event, self.ts, self.id = self.f["event"], self.f["ts_unix_ms"], self.f.get("request_id")
        self.dot = {"node": self.node, "log": self.log, "seq": self.seq}

    def is_a(self, *events):
        return self.event in events or "x-" in events and self.event.startswith("x-")

    def replaces(self, other):
        return other.dot in [{k: d[k] for k in other.dot} for d in self.f["replaces"]]

    def covers(self, tag):
        """Whether this removal covers a tag of its own node."""
        if self.id is not None:
            return self.id == tag.id and self.log == tag.log and tag.seq < self.seq
        return any(r["log"] == tag.log and r["first"] <= tag.seq < r["end"] for r in self.f["ranges"])


def no_duplicates(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name twice in one object")
    return dict(pairs)


def parse(line):
    """The fields of a line, or None if it does not operate."""
    try:
        f = json.loads(line.decode(), object_pairs_hook=no_duplicates, parse_float=lambda n: ...,
                       parse_int=lambda n: int(n) if len(n) <= 20 else ...)
        json.dumps(f, ensure_ascii=False, default=repr).encode()  # fails on half a surrogate pair
    except ValueError:
        return None
    if not fields(event=string, ts_unix_ms=u64)(f):
        return None
    if f["event"].startswith("x-"):
        return f if hex16(f.get("request_id")) else None
    return f if EVENTS.get(f["event"], lambda v: False)(f) else None


def read(node, directory):
    """The records of a node's log."""
    log, seq = "", 0
    for segment in sorted(Path(directory).glob("audit-*.jsonl")):
        for line in segment.read_bytes().split(b"\n")[:-1]:
            log = log or hashlib.sha256(b"\0" + line).hexdigest()
            f = parse(line)
            if f is not None:
                yield Record(node, log, seq, f)
            seq += 1


# The fold. Once all records are in the order of dots, the first of some is the lowest.

def in_order(records):
    before = {}  # by node and log: the log that it goes on from
    for r in records:
        if r.is_a("log_succeeded") and r.f["log"] != r.log:
            before.setdefault((r.node, r.log), r.f["log"])

    def rank(node, log):
        seen = set()
        while log is not None and log not in seen:
            seen.add(log)
            log = before.get((node, log))
        return len(seen)

    return sorted(records, key=lambda r: (r.node, rank(r.node, r.log), r.log, r.seq))


def first(records, *events):
    return next((r for r in records if r.is_a(*events)), None)


def winner(records, claim, *done):
    """The completion, else the claim, of the earliest time, then the lowest dot."""
    by_time = sorted(records, key=lambda r: r.ts)
    for state, events in (("done", done), ("claimed", [claim])):
        if best := first(by_time, *events):
            return state, best
    return "empty", None


def some(record, *names):
    """Some fields of a record, absent ones as None."""
    return {name: record.f.get(name) for name in names}


def item(node, request_id, tags, removals, marks):
    """A task as the view has it."""
    removals = [r for r in removals if any(r.covers(t) for t in tags)]
    shown = [t for t in tags if not any(r.covers(t) for r in removals)]
    present = bool(shown)
    shown = shown or tags
    state, end = winner(shown, "started", "exit", "denial")
    about, started = first(shown, "request", "denial"), first(shown, "started")
    i = {"node": node, "request_id": request_id, "present": present, "ts_unix_ms": shown[0].ts, "state": state,
         "agent_id": "", "machine_id": "", "argv": [], "matched_acl": None, "stdin_bytes": 0, "timeout_ms": 0,
         "pid": started and started.f["pid"], "outcome": None, "denial": None}
    if about:
        i |= some(about, "agent_id", "machine_id", "argv")
    if about and about.is_a("request"):
        i |= some(about, "matched_acl", "stdin_bytes", "timeout_ms")
    if end and end.is_a("exit"):
        i["outcome"] = some(end, "ts_unix_ms", "code", "signal", "duration_ms", "stdout_bytes", "stderr_bytes", "truncated")
    elif end and end.is_a("denial"):
        i["denial"] = end.f["reason"]
    i["warnings"] = [some(t, "ts_unix_ms", "kind", "bytes") for t in shown if t.is_a("warning")]
    i["review"] = review(marks)
    i["records"] = [{"log": t.log, "seq": t.seq, "event": t.event, "ts_unix_ms": t.ts,
                     "removed": any(r.covers(t) for r in removals)} for t in tags]
    i["removals"] = [{"log": r.log, "seq": r.seq, "ts_unix_ms": r.ts, "reason": r.f["reason"]} for r in removals]
    return i


def review(marks):
    released = [r for r in marks if r.is_a("task_released")]
    state, best = winner([m for m in marks if not any(r.replaces(m) for r in released)], "task_claimed", "task_completed")
    result = {"state": state, "by": "", "node": "", "ts_unix_ms": 0}
    if best:
        result |= {"by": best.f["by"], "node": best.node, "ts_unix_ms": best.ts}
    for field in ("note", "priority", "assignee"):
        notes = [m for m in marks if m.is_a("task_noted") and m.f["field"] == field]
        left = [n for n in notes if not any(o is not n and o.replaces(n) for o in notes)]
        # sorted keeps the order of dots among equal times
        result[field] = sorted(left, key=lambda n: n.ts)[-1].f["value"] if left else None
    return result


def view_hash(records):
    tasks, removals, marks = defaultdict(list), defaultdict(list), defaultdict(list)
    for r in in_order(records):
        if r.is_a(*TAGS):
            tasks[r.node, r.id].append(r)
        elif r.is_a("task_removed"):
            removals[r.node].append(r)
        elif r.is_a("task_claimed", "task_completed", "task_released", "task_noted"):
            marks[r.f["node"], r.id].append(r)
    h = hashlib.sha256(b"auditmesh view v1\n")
    for node, request_id in sorted(tasks):
        i = item(node, request_id, tasks[node, request_id], removals[node], marks[node, request_id])
        h.update(json.dumps(i, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return h.hexdigest()


if __name__ == "__main__":
    print(view_hash([r for arg in sys.argv[1:] for r in read(*arg.split("=", 1))]))
