"""What a symbol scores, and in which order results stand: sections A.5 and A.6, written from them alone."""
from functools import lru_cache

SEPARATORS = "_$."
LONGEST_ABBREVIATION = 64
TEST_DIRECTORIES = {"test", "tests", "androidtest", "integrationtest", "testfixtures", "generated", "generated-sources",
                    "generated-test-sources", "src-gen"}
MODULE, TYPES = 0, {1, 2, 3, 4, 5}
WEIGHTS = {0: 5, 6: 4, 11: 4, 7: 3, 9: 2, 8: 1, 10: 1}
WHITE_SPACE = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200B)}


def fold(c):
    return c.lower()[0]


def fits(q, n):
    return q == n or q == fold(n)


def equals(q, n):
    return q == n


def all_fit(fit, pattern, name):
    return len(pattern) <= len(name) and all(map(fit, pattern, name))


def words(name):
    """(start, end) of each word."""
    digit = lambda c: "0" <= c <= "9"
    upper = lambda c: c not in SEPARATORS and not digit(c) and fold(c) != c
    other = lambda c: c not in SEPARATORS and not digit(c) and not upper(c)
    starts = []
    for at, c in enumerate(name[:LONGEST_ABBREVIATION]):
        if c in SEPARATORS: continue
        before, behind = name[at - 1] if at else None, name[at + 1] if at + 1 < len(name) else None
        if before is None or before in SEPARATORS or digit(c) != digit(before) or upper(c) and not upper(before) \
                or upper(c) and upper(before) and behind is not None and other(behind):
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
    if rung == 9: return len(pattern) == len(name) and all_fit(fit, pattern, name)
    if rung == 7: return all_fit(fit, pattern, name)
    if rung == 3: return any(all_fit(fit, pattern, name[at:]) for at in range(len(name) - len(pattern) + 1))
    if len(pattern) > LONGEST_ABBREVIATION: return False
    if rung == 8: return initials(pattern, name)
    if rung == 1: return subsequence(fit, pattern, name)
    return humps(fit, pattern, name, anchored=rung in (6, 5), unbroken=rung in (6, 4))


def rung_of(pattern, name):
    """(rung, whether it holds with equality), or None."""
    if not pattern: return 0, False
    for rung in range(9, 0, -1):
        if holds(rung, fits, pattern, name): return rung, holds(rung, equals, pattern, name)
    return None


def in_tests(path):
    """Whether a directory of the path is one of tests or of generated code. Only ASCII letters have two cases."""
    ascii_lower = lambda text: "".join(c.lower() if c.isascii() else c for c in text)
    return any(ascii_lower(part) in TEST_DIRECTORIES for part in path.split("/")[:-1])


def score(query, name, kind, container, path, nested=False):
    """The number of A.6, or None for no match."""
    text = "".join(c for c in query if c not in WHITE_SPACE)
    cut = max(text.rfind("."), text.rfind("#")) + 1
    qualifiers = [one for one in text[:cut].replace("#", ".").split(".") if one]
    pattern, whole = text[cut:], False
    if qualifiers and kind == MODULE: pattern = text
    elif qualifiers:
        segments = container.split(".")[-len(qualifiers):]
        if len(segments) < len(qualifiers) or not all(map(lambda q, s: all_fit(fits, q, s), qualifiers, segments)):
            return None
        whole = all(len(q) == len(s) for q, s in zip(qualifiers, segments))
    found = rung_of(pattern, name)
    if found is None: return None
    rung, same_case = found
    weight = (6 if nested else 7) if kind in TYPES else WEIGHTS[kind]
    closeness = max(0, 65535 - (len(name) - len(pattern))) if rung else 0
    return rung << 28 | whole << 27 | weight << 24 | (not in_tests(path)) << 23 | closeness << 1 | same_case


def order_key(hit):
    """R-A-28."""
    return -hit["score"], hit["path"].encode(), hit["line"], hit["column"], hit["name"].encode(), hit["kind"]


def order(hits):
    return sorted(range(len(hits)), key=lambda at: order_key(hits[at]))


def merge(limit, answers):
    """R-A-30: what is certain of the results of all workers, at most `limit`."""
    hits = sorted((hit for answer in answers for hit in answer["hits"]), key=order_key)
    cut = any(answer["truncated"] for answer in answers)
    for answer in answers:
        if answer["truncated"] and len(answer["hits"]) < limit:
            last = order_key(answer["hits"][-1]) if answer["hits"] else None
            hits = [hit for hit in hits if last is not None and order_key(hit) <= last]
    return {"hits": hits[:limit], "truncated": cut or len(hits) > limit}
