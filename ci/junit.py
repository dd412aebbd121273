#!/usr/bin/env python3
"""Merges the JUnit reports of shards: `ci/junit.py MERGED SHARD…`. A suite that several shards have tests of becomes one.

Prints what came out, and fails if a test is there twice, which is no sharding, or failed.
"""
import collections
import sys
import xml.etree.ElementTree as xml

COUNTS = ("tests", "failures", "errors", "disabled", "skipped")


def merge(shards):
    whole, suites = xml.Element("testsuites", name="nextest-run"), {}
    for shard in shards:
        for suite in xml.parse(shard).getroot():
            there = suites.setdefault(suite.get("name"), xml.SubElement(whole, "testsuite", name=suite.get("name")))
            there.extend(suite)
            for key in COUNTS:
                if suite.get(key) is not None:
                    there.set(key, str(int(there.get(key, 0)) + int(suite.get(key))))
    for suite in list(whole):
        if not len(suite):
            whole.remove(suite)
    for key in COUNTS[:3]:
        whole.set(key, str(sum(int(suite.get(key, 0)) for suite in whole)))
    return whole


def main(merged, *shards):
    whole = merge(shards)
    xml.ElementTree(whole).write(merged, encoding="utf-8", xml_declaration=True)
    names = collections.Counter((suite.get("name"), case.get("name")) for suite in whole for case in suite.iter("testcase"))
    twice = [" ".join(name) for name, times in names.items() if times > 1]
    bad = int(whole.get("failures")) + int(whole.get("errors"))
    print(f"{len(names)} tests of {len(shards)} shards, {bad} failed")
    if twice:
        print("in more than one shard: " + ", ".join(sorted(twice)))
    return 1 if twice or bad or not names else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
