#!/usr/bin/env python3
"""Writes conformance/vectors from the stories in vectors/*.py.

usage: vecgen.py              write all files
       vecgen.py --check      write nothing; exit with 1 if a file differs, or if it does not follow the schema
       vecgen.py --coverage   which rules of PROTOCOL.md have which cases
"""
import importlib
import json
import pathlib
import pkgutil
import re
import sys

import schema
import vectors
from vectors import story

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "vectors"
RETIRED = HERE / "retired.txt"
PROTOCOL = HERE.parent.parent / "docs" / "PROTOCOL.md"


def groups():
    for module in sorted(pkgutil.iter_modules(vectors.__path__), key=lambda one: one.name):
        importlib.import_module(f"vectors.{module.name}")
    return story.GROUPS


def path_of(group):
    return OUT / ("generated" if group.generated else "") / f"{group.name}.json"


def check_ids(found):
    """An id names one case, for ever."""
    ids = [case["id"] for group in found for case in group.cases]
    double = sorted({one for one in ids if ids.count(one) > 1}) if len(set(ids)) != len(ids) else []
    if double: sys.exit(f"ids that stand twice: {double}")
    again = sorted(set(ids) & set(RETIRED.read_text().split()))
    if again: sys.exit(f"ids of cases that went: {again}")


def rules():
    """Rules of PROTOCOL.md in its order, with their outcomes."""
    return dict(re.findall(r"^- \*\*(R-[0-9A]+-[0-9]+)\*\* .*→ (.*)$", PROTOCOL.read_text(), re.M))


def coverage(found):
    have = {}
    for group in found:
        for case in group.cases:
            for one in case["covers"]:
                have.setdefault(one, []).append(case["id"])
    untestable = json.loads((OUT / "untestable.json").read_text())["rules"]
    all_rules, bad = rules(), []
    for one in sorted({one.rsplit(":", 1)[0]
        for one in have} - set(all_rules)): bad.append(f"{one} is no rule of PROTOCOL.md")
    for one, outcome in all_rules.items():
        lacks = [sign for sign in ("pos", "neg") if not have.get(f"{one}:{sign}")]
        excused = untestable.get(one, {})
        bad += [f"{one}:{sign} has cases, but is in untestable.json" for sign in excused if sign not in lacks]
        # A local rule binds the subject: what breaks it fails the positive case, and a peer cannot break it.
        if outcome == "local" and len(lacks) < 2: continue
        bad += [f"{one}:{sign} has no case ({outcome})" for sign in lacks if sign not in excused]
    for one in sorted(set(untestable) - set(all_rules)): bad.append(f"untestable.json names {one}, which is no rule")
    both = sum(all(have.get(f"{one}:{sign}") for sign in ("pos", "neg")) for one in all_rules)
    some = sum(any(have.get(f"{one}:{sign}") for sign in ("pos", "neg")) for one in all_rules)
    print("\n".join(bad))
    print(f"{len(all_rules)} rules: {both} with positive and negative cases, {some - both} with one of them, "
          f"{len(all_rules) - some} with none; {len(bad)} unexplained")
    return not bad


def main():
    found = groups()
    check_ids(found)
    if "--coverage" in sys.argv: sys.exit(not coverage(found))
    checker, wrong = schema.Schema(HERE.parent / "schema" / "v1.json"), []
    for group in found:
        text, path = group.text(), path_of(group)
        wrong += [f"{group.name}: {why}" for why in checker.errors(json.loads(text))]
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != text: wrong.append(f"{path} differs: run vecgen.py")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    expected = {path_of(group) for group in found} | {OUT / "untestable.json"}
    wrong += [f"{path} belongs to no group" for path in OUT.glob("**/*.json") if path not in expected]
    for why in wrong: print(why)
    for group in found:
        print(f"{group.name:24}{len(group.cases):6} cases" + ("" if group.generated
            else f" of {group.stories} stories"))
    hand = [group for group in found if not group.generated]
    print(f"{sum(len(group.cases) for group in hand)} cases of {sum(group.stories for group in hand)} stories by hand, "
          f"{sum(len(group.cases) for group in found if group.generated)} by loops")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
