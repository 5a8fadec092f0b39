"""Judges what `govulncheck -format json` says on standard input.

An advisory for a module fails the run if this program can reach the vulnerable
code, and is only shown if it cannot. One for Go's standard library never fails
it: the machine's Go is at fault, and cannot be mended in this repository. It is a
notice, for whoever makes a release. So is a database that is old.
"""

import datetime
import json
import sys

OLD_DAYS = 60
MODULE, PACKAGE, CALLED = 1, 2, 3
REACH = {MODULE: "module required", PACKAGE: "package imported", CALLED: "code called"}


def messages(text):
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        yield value


def reach_of(finding):
    frame = finding["trace"][0]
    return CALLED if "function" in frame else PACKAGE if "package" in frame else MODULE


def main(database):
    worst, summaries, scanned = {}, {}, False
    for message in messages(sys.stdin.read()):
        scanned = scanned or "SBOM" in message or "progress" in message
        if "osv" in message:
            summaries[message["osv"]["id"]] = message["osv"].get("summary", "")
        if "finding" in message:
            finding = message["finding"]
            frame = finding["trace"][0]
            key = frame["module"], frame.get("version", "?"), finding["osv"], finding.get("fixed_version", "none yet")
            worst[key] = max(worst.get(key, 0), reach_of(finding))
    if not scanned:
        sys.exit("govulncheck said nothing that is known here: has its format changed?")

    failed, of_go, mended_by = [], 0, "none yet"
    for (module, version, advisory, fixed), reach in sorted(worst.items()):
        print(f"{advisory}  {module} {version}, mended in {fixed}; {REACH[reach]}: {summaries.get(advisory, '')}")
        if reach == CALLED and module == "stdlib":
            of_go, mended_by, go = of_go + 1, max(mended_by, fixed, key=number), version
        elif reach == CALLED:
            failed.append(f"{advisory} in {module}: take {fixed}")
    if of_go:
        print(f"NOTICE: {of_go} advisories concern this machine's Go {go}: make releases with {mended_by} or later")

    day = datetime.datetime.strptime(database.split("-")[1], "%Y%m%d%H%M%S")
    age = (datetime.datetime.now() - day).days
    print(f"advisories as of {day:%Y-%m-%d}, {len(worst)} concern this module's requirements")
    if age > OLD_DAYS:
        print(f"NOTICE: the advisories are {age} days old: move vulndb_version in .ci/tools.sh")
    if failed:
        sys.exit("\n".join(failed))


def number(version):
    """Orders v1.26.10 after v1.26.9, and text before both."""
    parts = version.lstrip("v").split(".")
    return [int(p) if p.isdigit() else -1 for p in parts]


if __name__ == "__main__":
    main(sys.argv[1])
