"""Sections A.5 and A.6: scores, order, and what a router may show. Rungs and bits are written by hand; the layout is put
together here."""
from .story import *

g = Group("score", "What a symbol scores for a query: words, rungs, qualifiers, kinds, paths, closeness, case.")
o = Group("order", "In which order results stand, and what a router may show of truncated answers.")
CLASS, METHOD, MODULE = 1, 6, 0
WEIGHT = {0: 5, 1: 7, 2: 7, 3: 7, 4: 7, 5: 7, 6: 4, 7: 3, 8: 1, 9: 2, 10: 1, 11: 4}


def layout(rung, case, weight, name, pattern, full=False, main=True):
    closeness = max(0, 65535 - (len(name) - len(pattern))) if rung else 0
    return rung << 28 | full << 27 | weight << 24 | main << 23 | closeness << 1 | (case if rung else 0)


def score(id, about, query, name, rung, case=False, kind=CLASS, container="", path="src/A.java", nested=False, full=False, main=True, pattern=None,
          weight=None):
    """`rung` is None if the symbol does not match."""
    if pattern is None: pattern = query.split(".")[-1].split("#")[-1]
    weight = weight or (6 if nested else WEIGHT[kind])
    value = None if rung is None else layout(rung, case, weight, name, pattern, full, main)
    g.case(id, about, CODEC, "positive", "A-27+", [{"compute": "score", "value": value,
        "args": {"query": query, "name": name, "kind": kind, "container": container, "path": path, "nested": nested}}])


# ---- rungs
score("exact", "The whole name, as it is written.", "HashMap", "HashMap", 9, True)
score("exact-lower", "The whole name in lower case.", "hashmap", "HashMap", 9)
score("exact-one-letter", "A name of one letter.", "T", "T", 9, True)
score("upper-does-not-fit-lower", "Upper case does not fit lower case: nothing matches.", "HASHMAP", "HashMap", None)
score("initials", "Initials in upper case.", "CHM", "ConcurrentHashMap", 8, True)
score("initials-before-prefix", "Initials come before a prefix.", "AB", "AlphaBeta", 8, True)
score("initials-of-all-words", "Initials of all words but one are no initials; they are humps.", "CH",
    "ConcurrentHashMap", 6, True)
score("initials-lower", "Lower-case letters are no initials.", "chm", "ConcurrentHashMap", 6, False)
score("initials-one", "One letter is no initials; it is a prefix.", "C", "ConcurrentHashMap", 7, True)
score("initials-digit", "A digit is not upper: no initials.", "U8", "Utf8", 6, True)
score("initials-with-separator", "Words behind separators have initials too.", "MV", "Max_Value", 8, True)
score("initials-first-word-late", "The first word does not start at the first character: no initials.", "AB",
    "_AlphaBeta", 4, True)
score("initials-constant", "All letters of a constant are upper, its words are two.", "MV", "MAX_VALUE", 8, True)
score("prefix", "The beginning of the name.", "Hash", "HashMap", 7, True)
score("prefix-lower", "The beginning of the name, in lower case.", "hashm", "HashMap", 7, False)
score("prefix-mixed", "A pattern whose case is right in part.", "Hashm", "HashMap", 7, False)
score("humps-anchored-unbroken", "Pieces of the first words in a row.", "coHa", "ConcurrentHashMap", 6, False)
score("humps-anchored-unbroken-case", "The same in the right case.", "CoHaMa", "ConcurrentHashMap", 6, True)
score("humps-anchored", "Pieces from the first word on, with a gap.", "CMap", "ConcurrentHashMap", 5, True)
score("humps-anchored-lower", "The same in lower case.", "cmap", "ConcurrentHashMap", 5, False)
score("humps-unbroken", "Pieces of words in a row, not from the first.", "HaMa", "ConcurrentHashMap", 4, True)
score("word-start", "What occurs at the start of a word stands on rung 4.", "map", "ConcurrentHashMap", 4, False)
score("substring", "Characters within a word.", "urre", "ConcurrentHashMap", 3, True)
score("substring-over-words", "Characters in a row over the end of a word.", "ntHa", "ConcurrentHashMap", 3, True)
score("humps-scattered", "Pieces of inner words with a gap.", "BD", "AlphaBetaGammaDelta", 2, True)
score("subsequence-inner", "Characters in order, within words.", "nrt", "ConcurrentHashMap", 1, True)
score("subsequence-not-in-order", "Characters that are not in this order do not match.", "pam", "ConcurrentHashMap",
    None)
score("empty", "An empty query fits every name.", "", "HashMap", 0)
score("blank", "A query of white space is an empty one.", " \t ", "HashMap", 0, pattern="")
score("longer-than-name", "A pattern that is longer than the name.", "HashMaps", "HashMap", None)
score("higher-rung-wins", "Exact, prefix and initials at once: exact.", "AB", "AB", 9, True)
score("prefix-before-humps", "A prefix that is also humps.", "Alpha", "AlphaBeta", 7, True)
score("substring-before-humps", "Consecutive characters come before scattered humps.", "bc", "aXbcBxDxCx", 3, True)
score("humps-need-backtracking", "The first word takes one letter, so that the second can begin: a greedy cut fails.",
    "aab", "AaAb", 6, False)
score("same-case-on-the-rung", "The case bit belongs to the rung: with equality it would be a subsequence only.",
    "hashMap", "HashMap", 9, False)

# ---- words
score("words-acronym", "XMLParser is XML Parser.", "XP", "XMLParser", 8, True)
score("words-acronym-inner", "The P of Parser starts a word, the L of XML does not.", "LP", "XMLParser", 3, True)
score("words-digits", "UTF8Reader2 is UTF 8 Reader 2.", "u8r2", "UTF8Reader2", 6, False)
score("words-digit-inner", "A digit within a number starts no word.", "b4", "Base64", 1, False)
score("words-digit-first", "A digit that starts a number starts a word.", "b6", "Base64", 6, False)
score("words-separator", "Separators end words: MAX_VALUE.", "mv", "MAX_VALUE", 6, False)
score("words-separator-in-pattern", "A separator in the pattern is a character of the word before it.", "max_v",
    "MAX_VALUE", 7, False)
score("words-dollar", "A dollar sign is a separator.", "OI", "Outer$Inner", 8, True)
score("words-dots-in-module", "Dots separate the words of a module's name.", "jb", "java.base", 6, True, kind=MODULE)
score("words-two-separators", "Two separators in a row.", "ab", "alpha__beta", 6, True)
score("words-leading-separator", "A leading separator: the first word is not at the first character.", "a", "_alpha", 4,
    True)
score("words-lower-after-upper", "One upper-case letter and lower-case ones are one word.", "am", "Alphum", 1, False)
score("words-upper-at-end", "An upper-case letter at the end starts a word after a lower-case one.", "xY", "fooxY", 3,
    True)
score("words-plural-acronym", "URLs is UR Ls: an upper-case letter before another kind starts a word.", "ul", "URLs", 6,
    False)
score("words-64th", "A word that starts at the 64th character.", "ab", "A" + "x" * 62 + "Bc", 6, False)
score("words-65th", "No word starts after the 64th character: what would be humps is a subsequence.", "ab", "A"
    + "x" * 63 + "Bc", 1, False)
score("words-65th-substring", "A substring is found behind the 64th character too.", "bc", "A" + "x" * 63 + "Bc", 3,
    False)

# ---- characters
score("unicode-fold", "Lower case of letters that are not ASCII.", "äpfel", "Äpfel", 9, False)
score("unicode-upper-starts-word", "An upper-case letter that is not ASCII starts a word.", "gä", "großÄpfel", 6, False)
score("unicode-first-of-mapping", "The first character of a full mapping: capital I with a dot folds to i.", "i", "İ",
    9, False)
score("unicode-sharp-s", "The sharp s is its own lower case, and no ss.", "strasse", "Straße", None)
score("unicode-no-normalisation", "An e with an accent and a composed é are not the same.", "e\u0301", "é", None)
score("unicode-kelvin", "The Kelvin sign folds to k.", "k", "\u212a", 9, False)
score("unicode-sigma", "Capital sigma folds to σ, not to the final ς.", "ς", "Σ", None)
score("unicode-titlecase", "A titlecase letter folds to its lower case.", "\u01c6", "\u01c5", 9, False)
score("unicode-astral", "Characters above 2^16 count as one.", "😀", "😀Smile", 7, True)
score("unicode-dotless", "The dotless ı is a letter of its own.", "ı", "I", None)

# ---- long patterns
score("long-64", "A pattern of 64 characters may abbreviate.", "a" * 63 + "b", "A" + "a" * 62 + "xB", 1, False)
score("long-65-prefix", "A pattern of 65 characters reaches the prefix.", "a" * 65, "a" * 70, 7, True)
score("long-65-exact", "A pattern of 65 characters reaches the exact name.", "a" * 65, "a" * 65, 9, True)
score("long-65-substring", "A pattern of 65 characters reaches the substring.", "a" * 65, "b" + "a" * 66, 3, True)
score("long-65-abbreviates-nothing", "A pattern of 65 characters does not match in order only.", "a" * 64 + "c",
    "a" * 64 + "bc", None)
score("long-64-subsequence", "A pattern of 64 characters matches in order.", "a" * 63 + "c", "a" * 63 + "bc", 1, True)

# ---- white space
score("space-inside", "White space in the middle is removed.", "Hash Map", "HashMap", 9, True, pattern="HashMap")
score("space-around", "White space around is removed.", "  HashMap\n", "HashMap", 9, True, pattern="HashMap")
score("space-unicode", "White space of Unicode is removed: a no-break space.", "Hash\u00a0Map", "HashMap", 9, True,
    pattern="HashMap")

# ---- qualifiers
score("qualifier", "A qualifier names the enclosing type.", "Map.Entry", "Entry", 9, True, container="java.util.Map",
    full=True, nested=True)
score("qualifier-hash", "A # divides like a dot.", "Map#get", "get", 9, True, kind=METHOD, container="java.util.Map",
    full=True)
score("qualifier-prefix", "A qualifier may be the beginning of its segment.", "Ma.Entry", "Entry", 9, True,
    container="java.util.Map", nested=True)
score("qualifier-lower", "A qualifier in lower case.", "map.entry", "Entry", 9, False, container="java.util.Map",
    full=True, nested=True)
score("qualifier-upper-does-not-fit", "An upper-case qualifier does not fit a lower-case segment.", "Util.Map", "Map",
    None, container="java.util")
score("qualifier-two", "Two qualifiers are the last two segments.", "util.Map.Entry", "Entry", 9, True,
    container="java.util.Map", full=True, nested=True)
score("qualifier-in-order", "Qualifiers stand in the order of the segments.", "Map.util.Entry", "Entry", None,
    container="java.util.Map", nested=True)
score("qualifier-not-last", "A qualifier that is not the last segment does not match.", "java.Entry", "Entry", None,
    container="java.util.Map", nested=True)
score("qualifier-too-many", "More qualifiers than segments.", "a.b.c.D", "D", None, container="b.c")
score("qualifier-all-segments", "As many qualifiers as segments.", "b.c.D", "D", 9, True, container="b.c", full=True)
score("qualifier-no-container", "A qualifier and no container.", "a.D", "D", None)
score("qualifier-one-short", "One of two qualifiers is shorter than its segment: the bit is not set.", "ut.Map.Entry",
    "Entry", 9, True, container="java.util.Map", nested=True)
score("qualifier-empty-pattern", "A dot at the end: everything in this container.", "Map.", "Entry", 0,
    container="java.util.Map", full=True, nested=True)
score("qualifier-leading-dot", "A leading dot leaves no qualifier.", ".Entry", "Entry", 9, True,
    container="java.util.Map", nested=True)
score("qualifier-double-dot", "Empty qualifiers are dropped.", "Map..Entry", "Entry", 9, True,
    container="java.util.Map", full=True, nested=True)
score("qualifier-only-dots", "Only dots: an empty pattern without qualifiers.", "..", "Entry", 0,
    container="java.util.Map", nested=True)
score("qualifier-spaces", "White space is removed before the query is divided.", "Map . Entry", "Entry", 9, True,
    container="java.util.Map", full=True, nested=True, pattern="Entry")
score("qualifier-module-whole-text", "A module is matched by the whole text.", "java.base", "java.base", 9, True,
    kind=MODULE, pattern="java.base")
score("qualifier-module-prefix", "A module by the beginning of its name, with its dot.", "java.b", "java.base", 7, True,
    kind=MODULE, pattern="java.b")
score("qualifier-module-hash", "A # in the text does not fit a module's dot.", "java#base", "java.base", None,
    kind=MODULE, pattern="java#base")
score("qualifier-module-leading-dot", "A leading dot leaves no qualifier for a module either: the pattern is what "
    "follows.", ".base", "java.base", 4, True, kind=MODULE, pattern="base")
score("qualifier-weaker-pattern", "The pattern behind a qualifier may stand on any rung.", "Map.ent", "Entry", 7, False,
    container="java.util.Map", full=True, nested=True)

# ---- kinds and paths
for kind, name in ((1, "class"), (2, "interface"), (3, "enum"), (4, "record"), (5, "annotation")):
    score(f"kind-{name}", f"A top-level {name} weighs 7.", "X", "X", 9, True, kind=kind)
    score(f"kind-{name}-nested", f"A nested {name} weighs 6.", "X", "X", 9, True, kind=kind, nested=True,
        container="a.B")
for kind, name, weight in ((0, "module", 5), (6, "method", 4), (7, "constructor", 3), (8, "field", 1),
    (9, "constant", 2), (10, "component", 1), (11, "element", 4)):
    score(f"kind-{name}", f"A {name} weighs {weight}.", "x", "x", 9, True, kind=kind, weight=weight)
for path, name, main in (("src/test/java/A.java", "test", False), ("src/main/java/A.java", "main", True),
    ("tests/A.java", "tests", False), ("a/androidTest/A.java", "android-test", False),
    ("a/ANDROIDTEST/A.java", "android-test-upper", False), ("a/integrationTest/A.java", "integration-test", False),
    ("a/testFixtures/A.java", "test-fixtures", False), ("build/generated/A.java", "generated", False),
    ("build/generated-sources/A.java", "generated-sources", False),
    ("generated-test-sources/A.java", "generated-test-sources", False), ("src-gen/A.java", "src-gen", False),
    ("Test/A.java", "test-mixed-case", False), ("test", "file-named-test", True),
    ("a/test", "file-named-test-in-directory", True), ("testing/A.java", "testing", True),
    ("latest/A.java", "latest", True), ("test.d/A.java", "test-with-suffix", True),
    ("src/tests2/A.java", "tests2", True), ("test/", "only-directory", False),
    ("a//test//A.java", "empty-parts", False), ("src-generated/A.java", "src-generated", True),
    ("a/teſt/A.java", "long-s-is-not-ascii", True)):
    score(f"path-{name}", f"The path {path}.", "A", "A", 9, True, path=path, main=main)

# ---- closeness
score("closeness-one", "One character more than the pattern.", "HashMa", "HashMap", 7, True)
score("closeness-floor", "A name longer than 65,535 characters: closeness stops at 0.", "a", "a" * 65600, 7, True)
score("closeness-exact-zero", "A name exactly 65,535 longer than the pattern: 0.", "a", "a" * 65536, 7, True)
score("closeness-initials", "Closeness of initials counts the whole name.", "AB", "AlphaBeta", 8, True)


# ---- order
def hit(score, path="a", line=1, column=1, name="n", kind=1, container=""):
    return {"name": name, "kind": kind, "container": container, "path": path, "line": line, "column": column,
        "score": score}


def order(id, about, hits, value):
    o.case(id, about, CODEC, "positive", "A-28+", [{"compute": "order", "args": {"hits": hits}, "value": value}])


def merge(id, about, limit, answers, hits, truncated, covered="A-30+ A-29+"):
    o.case(id, about, CODEC, "positive", covered, [{"compute": "merge", "args": {"limit": limit, "answers": answers},
        "value": {"hits": hits, "truncated": truncated}}])


order("score", "Higher scores first.", [hit(1), hit(3), hit(2)], [1, 2, 0])
order("score-unsigned", "Scores are unsigned.", [hit(2 ** 31), hit(2 ** 31 - 1)], [0, 1])
order("path", "Then paths, ascending.", [hit(1, "b"), hit(1, "a")], [1, 0])
order("path-bytes", "Paths by their bytes: upper case before lower, and Z before ä.",
    [hit(1, "ä"), hit(1, "a"), hit(1, "Z")], [2, 1, 0])
order("path-bytes-not-utf16", "By bytes of UTF-8, not by UTF-16 units: U+FFFF before U+10000.",
    [hit(1, "\U00010000"), hit(1, "\uffff")], [1, 0])
order("path-prefix", "A path before the one it begins.", [hit(1, "a/b"), hit(1, "a")], [1, 0])
order("path-slash", "A slash is a byte: a.java before a/b.java.", [hit(1, "a/b.java"), hit(1, "a.java")], [1, 0])
order("line", "Then lines, as numbers.", [hit(1, line=10), hit(1, line=9)], [1, 0])
order("column", "Then columns.", [hit(1, column=7), hit(1, column=3)], [1, 0])
order("name", "Then names by their bytes.", [hit(1, name="b"), hit(1, name="B")], [1, 0])
order("kind", "Then kinds by number.", [hit(1, kind=8), hit(1, kind=7)], [1, 0])
order("container-does-not-count", "The container does not count; equal hits are equal.",
    [hit(2, container="b"), hit(1), hit(2, path="A", container="z")], [2, 0, 1])
order("all-keys", "Every key decides once.", [hit(1, "a", 1, 1, "n", 2), hit(1, "a", 1, 1, "n", 1),
    hit(1, "a", 1, 1, "m", 9), hit(1, "a", 1, 0, "z"), hit(1, "a", 0, 9), hit(1, "A", 9), hit(2, "z")],
    [6, 5, 4, 3, 2, 1, 0])
A1, A2, A3, B1, B2 = hit(9, "a"), hit(7, "a"), hit(5, "a"), hit(8, "b"), hit(6, "b")
merge("plain", "Two complete answers.", 10, [{"hits": [A1, A2], "truncated": False},
    {"hits": [B1], "truncated": False}], [A1, B1, A2], False)
merge("limit", "More than the limit.", 2, [{"hits": [A1, A2], "truncated": False}, {"hits": [B1], "truncated": False}],
    [A1, B1], True)
merge("limit-exact", "As many as the limit: nothing is cut off.", 3,
    [{"hits": [A1, A2], "truncated": False}, {"hits": [B1], "truncated": False}], [A1, B1, A2], False)
merge("truncated-full", "A truncated answer with as many entries as the limit hides nothing that could be shown.", 2,
    [{"hits": [A1, A2], "truncated": True}, {"hits": [B1, B2], "truncated": False}], [A1, B1], True)
merge("truncated-short", "Behind the last entry of a truncated answer with fewer entries than the limit all is "
    "dropped.", 10, [{"hits": [A1, A2], "truncated": True}, {"hits": [B1, B2], "truncated": False}], [A1, B1, A2], True,
    "A-30- A-30+")
merge("truncated-short-two", "Two truncated answers: the earlier last entry decides.", 10,
    [{"hits": [A1, A2, A3], "truncated": True}, {"hits": [B1], "truncated": True}], [A1, B1], True, "A-30-")
merge("truncated-last-is-last", "The last entry of the truncated answer is last of all: nothing is dropped.", 10,
    [{"hits": [A1, A3], "truncated": True}, {"hits": [B1], "truncated": False}], [A1, B1, A3], True)
merge("none", "No answers at all.", 10, [], [], False)
merge("empty-answers", "Empty answers.", 10, [{"hits": [], "truncated": False}] * 3, [], False)
o.case("truncated-empty", "A truncated answer without entries, which a worker with one long name may give.", CODEC,
    "positive", "A-30-", [], branches=[branch("everything dropped", True, "all may stand behind what is missing",
    [{"compute": "merge", "args": {"limit": 10, "answers": [{"hits": [], "truncated": True},
    {"hits": [B1], "truncated": False}]}, "value": {"hits": [], "truncated": True}}]),
    branch("nothing dropped", False, "A-30 speaks of the last entry, and there is none",
    [{"compute": "merge", "args": {"limit": 10, "answers": [{"hits": [], "truncated": True},
    {"hits": [B1], "truncated": False}]}, "value": {"hits": [B1], "truncated": True}}])])
