"""What a symbol scores, and in which order results stand: sections A.5 and A.6, written from them alone."""
import re
from functools import lru_cache

SEPARATORS, DIGITS, DIVIDERS = "_$.", "0123456789", ".#:/"
LONGEST_ABBREVIATION = 64
TESTS = {"test", "tests", "androidtest", "integrationtest", "testfixtures", "generated", "generated-sources",
         "generated-test-sources", "src-gen"}
INTERNAL = {"internal", "sun"}
MODULE, TYPES, ANNOTATION, CONSTRUCTOR, CALLABLE = 0, {1, 2, 3, 4, 5}, 5, 7, {6, 7, 11}
WEIGHTS = {0: 5, 6: 4, 11: 4, 9: 3, 8: 2, 10: 2, 7: 1}
EXACT, INITIALS, BY_CONTAINER, PREFIX, ROW_FIRST, HUMPS_FIRST, ROW, SUBSTRING, HUMPS, SUBSEQUENCE, OTHER_CASE, ANY = \
    range(11, -1, -1)
STEPS = [0, 2, 4, 6, 8, 16, 17, 18, 19, 20, 21, 22]
STEPS_SET_BACK = [0, 1, 3, 5, 7, 9, 10, 11, 12, 20, 14, 15]
WHITE_SPACE = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200B)}


# ---------------------------------------------------------------- characters
def fold(c):
    return c.lower()[0]


def is_upper(c):
    return fold(c) != c


def fits(q, n):
    return q == n or q == fold(n)


def equals(q, n):
    return q == n


def all_fit(fit, pattern, name):
    return len(pattern) <= len(name) and all(map(fit, pattern, name))


# ---------------------------------------------------------------- the query
def without_type_arguments(text):
    kept, depth = "", 0
    for c in text:
        if c == "<": depth += 1
        elif c == ">": depth = max(0, depth - 1)
        elif depth == 0: kept += c
    return kept


class Query:
    """A query in its normal form: qualifiers and pattern, and which symbols it is about at all."""
    def __init__(self, query):
        text = "".join(c for c in query if c not in WHITE_SPACE and c not in "*[],;")
        text, paren, _ = text.partition("(")
        text = re.sub("(:[0-9]+)+$", "", without_type_arguments(text))
        if text.endswith(".java") and text != ".java": text = text[:-len(".java")]
        annotation = text.startswith("@")
        text = self.with_dots_for_dollars(text[annotation:])
        cut = max(map(text.rfind, DIVIDERS)) + 1
        self.qualifiers = [one for one in re.split("[.#:/]", text[:cut]) if one]
        self.pattern, self.is_path = text[cut:], "/" in text
        self.kinds = TYPES | set(WEIGHTS)
        if paren: self.kinds &= CALLABLE
        if annotation: self.kinds &= {ANNOTATION}
        self.sets_back = not self.qualifiers and not paren

    @staticmethod
    def with_dots_for_dollars(text):
        return "".join("." if c == "$" and 0 < at < len(text) - 1 and text[at - 1] not in DIVIDERS
                       and is_upper(text[at + 1]) else c for at, c in enumerate(text))

    def fit(self, qualifiers, segments):
        """The quality with which qualifiers fit the last segments of a container, or 0."""
        if not segments: return 0
        if self.is_path: qualifiers = qualifiers[-len(segments):]
        if len(segments) < len(qualifiers): return 0
        return min(map(quality, qualifiers, segments[-len(qualifiers):]))


def quality(qualifier, segment):
    if all_fit(fits, qualifier, segment): return 3 if len(qualifier) == len(segment) else 2
    return int(holds(HUMPS_FIRST, fits, qualifier, segment))


# ---------------------------------------------------------------- rungs
def words(name):
    """(start, end) of each word."""
    kind = lambda c: "digit" if c in DIGITS else "upper" if is_upper(c) else "other"
    starts = []
    for at, c in enumerate(name[:LONGEST_ABBREVIATION]):
        if c in SEPARATORS: continue
        before = None if at == 0 or name[at - 1] in SEPARATORS else kind(name[at - 1])
        behind = None if at + 1 == len(name) or name[at + 1] in SEPARATORS else kind(name[at + 1])
        if before is None or (before == "digit") != (kind(c) == "digit") \
                or kind(c) == "upper" and (before != "upper" or behind == "other"):
            starts.append(at)
    return list(zip(starts, starts[1:] + [len(name)]))


def humps(fit, pattern, name, anchored, unbroken):
    found = words(name)

    @lru_cache(None)
    def rest(at, word):
        """Whether pattern[at:] can be cut over words from `word` on, of which the first must be used if unbroken."""
        if at == len(pattern): return True
        for one in range(word, min(word + 1, len(found)) if unbroken else len(found)):
            start, end = found[one]
            for size in range(1, min(end - start, len(pattern) - at) + 1):
                if not fit(pattern[at + size - 1], name[start + size - 1]): break
                if rest(at + size, one + 1): return True
        return False

    def begins_with(word):
        start, end = found[word]
        for size in range(1, min(end - start, len(pattern)) + 1):
            if not fit(pattern[size - 1], name[start + size - 1]): return False
            if rest(size, word + 1): return True
        return False
    if anchored: return bool(found) and found[0][0] == 0 and begins_with(0)
    return any(begins_with(word) for word in range(len(found)))


def initials(pattern, name):
    found = words(name)
    return (len(pattern) >= 2 and all(fold(c) != c for c in pattern) and bool(found) and found[0][0] == 0
            and pattern == "".join(name[start] for start, _ in found))


def subsequence(fit, pattern, name):
    rest = iter(name)
    return all(any(fit(q, n) for n in rest) for q in pattern)


def holds(rung, fit, pattern, name):
    """Whether the condition of a rung holds for a pattern that is not empty and a name."""
    if rung == EXACT: return len(pattern) == len(name) and all_fit(fit, pattern, name)
    if rung == PREFIX: return all_fit(equals if any(map(is_upper, pattern)) else fit, pattern, name)
    if rung == SUBSTRING: return any(all_fit(fit, pattern, name[at:]) for at in range(len(name) - len(pattern) + 1))
    if rung == OTHER_CASE:
        return any(map(is_upper, pattern)) and all_fit(equals, [*map(fold, pattern)], [*map(fold, name)])
    if len(pattern) > LONGEST_ABBREVIATION: return False
    if rung == INITIALS: return initials(pattern, name)
    if rung == SUBSEQUENCE: return subsequence(fit, pattern, name)
    return humps(fit, pattern, name, anchored=rung in (ROW_FIRST, HUMPS_FIRST), unbroken=rung in (ROW_FIRST, ROW))


def rung_of(pattern, name):
    """The highest rung of a name, and whether it holds with equality; or None."""
    if not pattern: return ANY, False
    for rung in (EXACT, INITIALS, PREFIX, ROW_FIRST, HUMPS_FIRST, ROW, SUBSTRING, HUMPS, SUBSEQUENCE, OTHER_CASE):
        if holds(rung, fits, pattern, name): return rung, rung != OTHER_CASE and holds(rung, equals, pattern, name)
    return None


# ---------------------------------------------------------------- the score
def place(path):
    """0 for tests and generated code, 1 for internal code, 2 for what is left. Only ASCII letters have two cases."""
    ascii_lower = lambda text: "".join(c.lower() if c.isascii() else c for c in text)
    parts = {ascii_lower(part) for directory in path.split("/")[:-1] for part in directory.split(".")}
    return 0 if parts & TESTS else 1 if parts & INTERNAL else 2


def score(query, name, kind, container, path, nested=False):
    """The number of A.6, or None for no match."""
    asked = Query(query)
    if kind not in asked.kinds: return None
    if kind == MODULE and asked.qualifiers: container, _, name = name.rpartition(".")
    segments = container.split(".") if container else []
    found = []                                       # of the rung, the quality, and the case
    by_name, fit = rung_of(asked.pattern, name), asked.fit(asked.qualifiers, segments) if asked.qualifiers else 0
    if by_name and (fit or not asked.qualifiers): found.append((by_name[0], fit, by_name[1]))
    if asked.qualifiers and asked.pattern:
        fit = asked.fit(asked.qualifiers + [asked.pattern], segments)
        if fit: found.append((BY_CONTAINER if fit == 3 else ANY, fit, False))
    weight = (6 if nested else 7) if kind in TYPES else WEIGHTS[kind]
    steps = STEPS_SET_BACK if kind == CONSTRUCTOR and asked.sets_back else STEPS
    closeness = max(0, 65535 - (len(name) - len(asked.pattern)))
    return max((steps[rung] << 27 | fit << 25 | weight << 22 | place(path) << 20
        | (0 if rung in (BY_CONTAINER, ANY) else closeness << 1) | same_case for rung, fit, same_case in found),
        default=None)


def order_key(hit):
    """R-A-28."""
    return -hit["score"], hit["path"].encode(), hit["line"], hit["column"], hit["name"].encode(), hit["kind"]


def order(hits):
    return sorted(range(len(hits)), key=lambda at: order_key(hits[at]))


def merge(limit, answers):
    """R-A-30 and R-A-37: what is certain of the results of all workers, at most `limit`."""
    hits = sorted((hit for answer in answers for hit in answer["hits"]), key=order_key)
    cut = any(answer["truncated"] for answer in answers)
    for answer in answers:
        if answer["truncated"] and len(answer["hits"]) < limit:
            last = order_key(answer["hits"][-1]) if answer["hits"] else None
            hits = [hit for hit in hits if last is not None and order_key(hit) <= last]
    return {"hits": hits[:limit], "truncated": cut or len(hits) > limit}
