"""As much of JSON Schema (draft 2020-12) as conformance/schema/v1.json uses; any other keyword is an error."""
import json
import re

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
SILENT = {"$schema", "$id", "title", "$defs"}


class Schema:
    def __init__(self, path):
        self.root = json.loads(path.read_text())

    def errors(self, value):
        return list(self.walk(self.root, value, "$"))

    def walk(self, rule, value, at):
        if rule is True: return
        for keyword, wanted in rule.items():
            if keyword in SILENT or keyword in ("properties", "additionalProperties") and not isinstance(value,
                dict): continue
            yield from getattr(self, "check_" + keyword.strip("$"))(wanted, value, at, rule)

    def check_ref(self, wanted, value, at, _):
        yield from self.walk(self.root["$defs"][wanted.rsplit("/", 1)[1]], value, at)

    def check_type(self, wanted, value, at, _):
        if not isinstance(value, TYPES[wanted]) or wanted == "integer" and isinstance(value,
            bool): yield f"{at} is no {wanted}"

    def check_const(self, wanted, value, at, _):
        if value != wanted or type(value) is not type(wanted): yield f"{at} is not {wanted!r}"

    def check_enum(self, wanted, value, at, _):
        if value not in wanted: yield f"{at} is none of {wanted}"

    def check_pattern(self, wanted, value, at, _):
        if isinstance(value, str) and not re.search(wanted, value): yield f"{at} does not match {wanted}"

    def check_minimum(self, wanted, value, at, _):
        if isinstance(value, int) and value < wanted: yield f"{at} is below {wanted}"

    def check_maximum(self, wanted, value, at, _):
        if isinstance(value, int) and value > wanted: yield f"{at} is above {wanted}"

    def check_required(self, wanted, value, at, _):
        if isinstance(value, dict): yield from (f"{at} lacks {name}" for name in wanted if name not in value)

    def check_properties(self, wanted, value, at, _):
        for name, part in value.items():
            if name in wanted: yield from self.walk(wanted[name], part, f"{at}.{name}")

    def check_additionalProperties(self, wanted, value, at, rule):
        for name, part in value.items():
            if name in rule.get("properties", {}): continue
            if wanted is False: yield f"{at} has the unknown member {name}"
            else: yield from self.walk(wanted, part, f"{at}.{name}")

    def check_items(self, wanted, value, at, _):
        if isinstance(value, list):
            for index, part in enumerate(value): yield from self.walk(wanted, part, f"{at}[{index}]")

    def check_anyOf(self, wanted, value, at, _):
        tries = [list(self.walk(one, value, at)) for one in wanted]
        if all(tries): yield f"{at} fits none of its forms: {tries[0][0]}"
