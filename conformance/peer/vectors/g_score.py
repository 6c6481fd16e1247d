"""Sections A.5 and A.6: scores, order, and what a router may show. Rungs, qualities and places are written by hand; the
layout is put together here."""
from .story import *

g = Group("score", "What a symbol scores for a query: its normal form, words, rungs, qualifiers, kinds, places, case.")
o = Group("order", "In which order results stand, and what a router may show of truncated answers.")
MODULE, CLASS, ANNOTATION, METHOD, CONSTRUCTOR, FIELD, ELEMENT = 0, 1, 5, 6, 7, 8, 11
WEIGHT = {0: 5, 1: 7, 2: 7, 3: 7, 4: 7, 5: 7, 6: 4, 7: 1, 8: 2, 9: 3, 10: 2, 11: 4}
STEP = {11: 22, 10: 21, 9: 20, 8: 19, 7: 18, 6: 17, 5: 16, 4: 8, 3: 6, 2: 4, 1: 2, 0: 0}
STEP_SET_BACK = {11: 15, 10: 14, 8: 12, 7: 11, 6: 10, 5: 9, 4: 7, 3: 5, 2: 3, 1: 1, 0: 0}


def layout(rung, case, quality, weight, place, longer, set_back):
    """`longer`: by how many characters the name is longer than the pattern."""
    step_ = (STEP_SET_BACK if set_back else STEP)[rung]
    closeness = 0 if rung in (9, 0) else max(0, 65535 - longer)
    return step_ << 27 | quality << 25 | weight << 22 | place << 20 | closeness << 1 | case


def score(id, about, query, name, rung, case=0, quality=0, kind=CLASS, container="", path="src/A.java", nested=False,
          pattern=None, place=2, longer=None, set_back=False):
    """`rung` is None if the symbol does not match; `pattern` is what is left of the query, if that is not plain."""
    if longer is None: longer = len(name) - len(query if pattern is None else pattern)
    weight = 6 if nested else WEIGHT[kind]
    value = None if rung is None else layout(rung, case, quality, weight, place, longer, set_back)
    g.case(id, about, CODEC, "positive", "A-27+", [{"compute": "score", "value": value,
        "args": {"query": query, "name": name, "kind": kind, "container": container, "path": path, "nested": nested}}])


# ---- rungs
CHM = "ConcurrentHashMap"
score("rung.exact", "The whole name, as it is written.", "HashMap", "HashMap", 11, 1)
score("rung.exact-lower", "The whole name in lower case.", "hashmap", "HashMap", 11)
score("rung.exact-one-letter", "A name of one letter.", "T", "T", 11, 1)
score("rung.exact-lower-inside", "Lower case for one letter only.", "hashMap", "HashMap", 11)
score("rung.exact-before-initials", "Exact, initials and prefix at once: exact.", "AB", "AB", 11, 1)
score("rung.initials", "Initials in upper case.", "CHM", CHM, 10, 1)
score("rung.initials-before-prefix", "A name that begins with the same letters is a prefix, one rung below.", "CHM",
    "CHMap", 8, 1)
score("rung.initials-some", "Initials of all words but one are no initials; they are humps.", "CH", CHM, 7, 1)
score("rung.initials-gap", "Nor are they with a word left out in between.", "CM", CHM, 6, 1)
score("rung.initials-lower", "Lower-case letters are no initials.", "chm", CHM, 7)
score("rung.initials-one", "One letter is no initials; it is a prefix.", "C", CHM, 8, 1)
score("rung.initials-digit", "A digit is not upper: no initials.", "U8", "Utf8", 7, 1)
score("rung.initials-separator", "Words behind separators have initials too.", "MV", "Max_Value", 10, 1)
score("rung.initials-lower-word", "The initials of words in lower case are not upper: humps do not fit either; the "
    "letters are those of the beginning in no case.", "MV", "max_value", None)
score("rung.initials-first-word-late", "The first word does not start at the first character: no initials.", "AB",
    "_AlphaBeta", 5, 1)
score("rung.initials-constant", "All letters of a constant are upper, its words are two.", "MV", "MAX_VALUE", 10, 1)
score("rung.prefix", "The beginning of the name.", "Hash", "HashMap", 8, 1)
score("rung.prefix-lower", "The beginning of the name, in lower case.", "hashm", "HashMap", 8)
score("rung.prefix-lower-of-lower", "The beginning of a name in lower case: with equality as well.", "get", "getValue",
    8, 1)
score("rung.prefix-upper-must-equal", "A pattern with an upper-case letter is a prefix only where all its characters "
    "equal: these are humps.", "Hashm", "HashMap", 7)
score("rung.prefix-upper-no-word", "The same where no word begins with the pattern: a substring.", "_Ab", "_ABC", 4)
score("rung.prefix-before-humps", "A prefix that is also humps.", "Alpha", "AlphaBeta", 8, 1)
score("rung.humps-first-row", "Pieces of the first words in a row.", "coHa", CHM, 7)
score("rung.humps-first-row-case", "The same in the right case.", "CoHaMa", CHM, 7, 1)
score("rung.humps-first", "Pieces from the first word on, with a gap.", "CMap", CHM, 6, 1)
score("rung.humps-first-lower", "The same in lower case.", "cmap", CHM, 6)
score("rung.humps-first-before-row", "Anchored with a gap comes before unbroken: both are possible.", "ac",
    "AbBbCcAcc", 6)
score("rung.humps-row", "Pieces of words in a row, not from the first.", "HaMa", CHM, 5, 1)
score("rung.word-start", "What occurs at the start of a word.", "map", CHM, 5)
score("rung.word-start-over-words", "What occurs at the start of a word and goes on into the next.", "HashM", CHM, 5, 1)
score("rung.substring", "Characters within a word.", "urre", CHM, 4, 1)
score("rung.substring-over-words", "Characters in a row over the end of a word.", "ntHa", CHM, 4, 1)
score("rung.substring-lower", "The same in lower case.", "ntha", CHM, 4)
score("rung.substring-before-humps", "Consecutive characters come before scattered humps.", "bc", "aXbcBxDxCx", 4, 1)
score("rung.humps", "Pieces of inner words with a gap.", "BD", "AlphaBetaGammaDelta", 3, 1)
score("rung.humps-lower", "The same in lower case.", "bd", "AlphaBetaGammaDelta", 3)
score("rung.subsequence", "Characters in order, within words.", "nrt", CHM, 2, 1)
score("rung.subsequence-lower", "The same, where one of them is upper.", "ocm", CHM, 2)
score("rung.other-case", "Upper case does not fit lower case: the name in another case.", "HASHMAP", "HashMap", 1)
score("rung.other-case-prefix", "The beginning of a name in another case.", "HASHM", "HashMap", 1)
score("rung.other-case-one", "One letter in upper case, the name in lower case.", "G", "get", 1)
score("rung.other-case-mixed", "Upper case in the middle of a word.", "haSh", "HashMap", 1)
score("rung.other-case-not-inside", "In another case and not at the beginning: no match.", "MAP", "HashMap", None)
score("subsequence-not-in-order", "Characters that are not in this order do not match.", "pam", CHM, None)
score("rung.empty", "An empty query fits every name.", "", "HashMap", 0)
score("rung.empty-name", "And an empty name.", "", "", 0)
score("longer-than-name", "A pattern that is longer than the name.", "HashMaps", "HashMap", None)
score("rung.backtracking", "The first word takes one letter, so that the second can begin: a greedy cut fails.", "aab",
    "AaAb", 7)
score("rung.backtracking-gap", "So it is where a word must be left out.", "acd", "AcBbCcDd", 6)

# ---- the bit of the case
score("case.on-the-rung", "The bit belongs to the rung: a lower one, where equality holds, does not count.", "ab",
    "xAbab", 5)
score("case.any-place", "Any place of the name that gives the rung will do: the second one equals.", "xa", "y_Xa_xa",
    5, 1)
score("case.prefix-lower", "A prefix in lower case that a later place would equal.", "map", "MapOfmap", 8)

# ---- words
score("words.acronym", "XMLParser is XML Parser.", "XP", "XMLParser", 10, 1)
score("words.acronym-inner", "The P of Parser starts a word, the L of XML does not.", "LP", "XMLParser", 4, 1)
score("words.digits", "UTF8Reader2 is UTF 8 Reader 2.", "u8r2", "UTF8Reader2", 7)
score("words.digit-inner", "A digit within a number starts no word.", "b4", "Base64", 2)
score("words.digit-first", "A digit that starts a number starts a word.", "b6", "Base64", 7)
score("words.letter-behind-digit", "A lower-case letter behind a digit starts a word.", "x", "a1x", 5, 1)
score("words.separator", "Separators end words: MAX_VALUE.", "mv", "MAX_VALUE", 7)
score("words.separator-in-pattern", "A separator in the pattern is a character of the word before it.", "max_v",
    "MAX_VALUE", 8)
score("words.separator-in-humps", "The word MAX_ ends with its separator.", "ma_v", "MAX_VALUE", 2)
score("words.dollar", "A dollar sign is a separator.", "OI", "Outer$Inner", 10, 1)
score("words.dots-in-module", "Dots separate the words of a module's name.", "jb", "java.base", 7, 1, kind=MODULE)
score("words.two-separators", "Two separators in a row.", "ab", "alpha__beta", 7, 1)
score("words.leading-separator", "A leading separator: the first word is not at the first character.", "a", "_alpha",
    5, 1)
score("words.lower-behind-upper", "One upper-case letter and lower-case ones are one word.", "am", "Alphum", 2)
score("words.upper-at-end", "An upper-case letter at the end starts a word after a lower-case one.", "xY", "fooxY", 4,
    1)
score("words.upper-behind-digit", "An upper-case letter behind a digit starts a word.", "ar", "a8Reader", 6)
score("words.plural-acronym", "URLs is UR Ls: an upper-case letter before another kind starts a word.", "ul", "URLs", 7)
score("words.acronym-before-digit", "A digit is no letter of the other kind: the Z of XYZ1 starts no word.", "z1",
    "XYZ1", 4)
score("words.64th", "A word that starts at the 64th character.", "ab", "A" + "x" * 62 + "Bc", 7)
score("words.65th", "No word starts after the 64th character: what would be humps is a subsequence.", "ab",
    "A" + "x" * 63 + "Bc", 2)
score("words.65th-substring", "A substring is found behind the 64th character too.", "bc", "A" + "x" * 63 + "Bc", 4)
score("words.65th-initials", "Initials are those of the words that there are.", "AB", "A" + "x" * 62 + "Bc" + "Cd",
    10, 1)

# ---- characters
score("unicode.fold", "Lower case of letters that are not ASCII.", "äpfel", "Äpfel", 11)
score("unicode.upper-starts-word", "An upper-case letter that is not ASCII starts a word.", "gä", "großÄpfel", 7)
score("unicode.first-of-mapping", "The first character of a full mapping: capital I with a dot folds to i.", "i", "İ",
    11)
score("unicode-sharp-s", "The sharp s is its own lower case, and no ss.", "strasse", "Straße", None)
score("unicode-no-normalisation", "An e with an accent and a composed é are not the same.", "e\u0301", "é", None)
score("unicode.kelvin", "The Kelvin sign folds to k.", "k", "\u212a", 11)
score("unicode.kelvin-other-case", "K and the Kelvin sign are one letter in another case.", "\u212a", "k", 1)
score("unicode-sigma", "Capital sigma folds to σ, not to the final ς.", "ς", "Σ", None)
score("unicode.titlecase", "A titlecase letter folds to its lower case.", "\u01c6", "\u01c5", 11)
score("unicode.astral", "Characters above 2^16 count as one.", "😀", "😀Smile", 8, 1)
score("unicode.astral-upper", "Deseret letters have two cases.", "\U00010428", "\U00010400", 11)
score("unicode-dotless", "The dotless ı is a letter of its own.", "ı", "I", None)
score("unicode.digits", "Only 0 to 9 are digits: an Arabic one starts no word.", "a\u0661", "aa\u0661", 4, 1)

# ---- long patterns
score("long.64", "A pattern of 64 characters may abbreviate.", "a" * 63 + "b", "A" + "a" * 62 + "xB", 2)
score("long.65-exact", "A pattern of 65 characters reaches the exact name.", "a" * 65, "a" * 65, 11, 1)
score("long.65-prefix", "A pattern of 65 characters reaches the prefix.", "a" * 65, "a" * 70, 8, 1)
score("long.65-substring", "A pattern of 65 characters reaches the substring.", "a" * 65, "b" + "a" * 66, 4, 1)
score("long.65-other-case", "A pattern of 65 characters reaches another case.", "A" * 65, "a" * 66, 1)
score("long.65-no-row", "A pattern of 65 characters at the start of a word is a substring.", "a" * 65,
    "x_" + "a" * 66, 4, 1)
score("long-65-abbreviates-nothing", "A pattern of 65 characters does not match in order only.", "a" * 64 + "c",
    "a" * 64 + "bc", None)
score("long.64-subsequence", "A pattern of 64 characters matches in order.", "a" * 63 + "c", "a" * 63 + "bc", 2, 1)
score("long.65-qualifier", "A qualifier of 65 characters may be the beginning of a segment.", "a" * 65 + ".X", "X",
    11, 1,
    2, container="a" * 66, pattern="X")
score("long.65-qualifier-no-humps", "It may not abbreviate one.", "A" * 64 + "b.X", "X", None,
    container="A" * 64 + "xxB")

# ---- the form of a query: white space and signs
for name, query, about in (("inside", "Hash Map", "White space in the middle"), ("around", "  HashMap\n", "White space "
    "around"), ("no-break", "Hash\u00a0Map", "A no-break space"), ("ideographic", "Hash\u3000Map",
    "An ideographic space"),
    ("next-line", "Hash\u0085Map", "U+0085"), ("line-separator", "Hash\u2028Map", "U+2028"),
    ("star", "Hash*Map*", "A star"), ("brackets", "HashMap[]", "A pair of brackets"), ("comma", "HashMap,", "A comma"),
    ("semicolon", "HashMap;", "A semicolon")):
    score(f"form.removed-{name}", f"{about} is removed.", query, "HashMap", 11, 1, pattern="HashMap")
score("form.kept-zero-width", "A zero-width space is no White_Space.", "Hash\u200bMap", "HashMap", None)
score("form.kept-separator-control", "U+001F is no White_Space.", "Hash\x1fMap", "HashMap", None)
score("form.blank", "A query of white space and signs is an empty one.", " \t*[];", "HashMap", 0, pattern="")

# ---- the form of a query: parentheses
score("form.call-method", "A parenthesis and all behind it are removed.", "put(K key, V value)", "put", 11, 1,
    kind=METHOD,
    pattern="put")
score("form.call-element", "Elements of annotations match it too.", "value()", "value", 11, 1, kind=ELEMENT,
    pattern="value")
score("form.call-constructor", "So do constructors, which are not set back then.", "HashMap(", "HashMap", 11, 1,
    kind=CONSTRUCTOR, pattern="HashMap")
for kind, name in ((0, "module"), (1, "class"), (2, "interface"), (3, "enum"), (4, "record"), (5, "annotation"),
    (8, "field"), (9, "constant"), (10, "component")):
    score(f"form.call-{name}", f"A {name} does not match a query with a parenthesis.", "x()", "x", None, kind=kind)
score("form.call-qualified", "With a qualifier before it.", "Map.put(Object)", "put", 11, 1, 3, kind=METHOD,
    container="java.util.Map", pattern="put")
score("form.call-argument-type", "What stands in the parentheses does not count as qualifiers.", "put(java.util.Map)",
    "put",
    11, 1, kind=METHOD, container="a.B", pattern="put")
score("form.call-empty", "A parenthesis alone: every method.", "(", "put", 0, kind=METHOD, pattern="")
score("form.call-empty-class", "But no class.", "()", "Map", None)
score("form.close-alone", "A closing parenthesis alone stays, and fits nothing.", "put)", "put", None, kind=METHOD)

# ---- the form of a query: type arguments
score("form.arguments", "Type arguments are removed.", "Map<String,V>", "Map", 11, 1, pattern="Map")
score("form.arguments-nested", "Nested ones too.", "Map<List<A>,B>Entry", "MapEntry", 11, 1, pattern="MapEntry")
score("form.arguments-open", "Behind a < without > everything is removed.", "Map<Stri", "Map", 11, 1, pattern="Map")
score("form.arguments-open-nested", "So it is if only the inner one is closed.", "Map<List<A>Entry", "Map", 11, 1,
    pattern="Map")
score("form.arguments-closed-alone", "A > without < is removed alone.", "Ma>p", "Map", 11, 1, pattern="Map")
score("form.arguments-first", "Before the name: those of a method.", "<T>sort", "sort", 11, 1, kind=METHOD,
    pattern="sort")
score("form.arguments-in-qualifier", "Within a qualifier.", "Map<java.lang.String>.Entry", "Entry", 11, 1, 3,
    container="java.util.Map", pattern="Entry")
score("form.arguments-with-parenthesis", "The parenthesis comes first: behind it nothing is left to close.",
    "Map<a(b>c", "Map", None, pattern="Map")
score("form.arguments-with-parenthesis-method", "So all behind the < goes.", "map<a(b>c", "map", 11, 1, kind=METHOD,
    pattern="map")

# ---- the form of a query: places in files
score("form.line", "A line at the end is removed.", "HashMap:12", "HashMap", 11, 1, pattern="HashMap")
score("form.line-and-column", "And a column.", "HashMap:12:7", "HashMap", 11, 1, pattern="HashMap")
score("form.java", ".java at the end is removed.", "HashMap.java", "HashMap", 11, 1, pattern="HashMap")
score("form.java-and-line", "The line first, then .java.", "HashMap.java:12", "HashMap", 11, 1, pattern="HashMap")
score("form.java-once", "Only one .java is removed.", "HashMap.java.java", "java", 11, 1, 3, container="HashMap",
    pattern="java", kind=METHOD)
score("form.line-before-java", "A line before .java stays: its colon divides.", "HashMap:12.java", "12", 11, 1, 3,
    container="HashMap", kind=METHOD, pattern="12")
score("form.java-alone", ".java alone stays: its dot divides.", ".java", "java", 11, 1, kind=METHOD, pattern="java")
score("form.java-upper", ".JAVA is no ending.", "a.JAVA", "JAVA", 11, 1, 3, container="a", kind=METHOD, pattern="JAVA")
score("form.colon-without-digits", "A colon at the end without digits divides: the pattern is empty.", "Map:", "x", 0,
    0, 3, container="a.Map", kind=METHOD, pattern="")
score("form.line-alone", "A line alone leaves an empty query.", ":12", "HashMap", 0, pattern="")
score("form.line-inside", "Digits in the middle are no line.", "a:12:b", "b", 11, 1, 3, container="a.12", kind=METHOD,
    pattern="b")
score("form.line-of-other-digits", "Only 0 to 9 are digits.", "Map:\u0661", "\u0661", 11, 1, 3, container="Map",
    kind=METHOD, pattern="\u0661")

# ---- the form of a query: annotations and binary names
score("form.at", "A @ at the beginning is removed.", "@Override", "Override", 11, 1, kind=ANNOTATION,
    pattern="Override")
for kind, name in ((0, "module"), (1, "class"), (2, "interface"), (3, "enum"), (4, "record"), (6, "method"),
    (7, "constructor"), (8, "field"), (9, "constant"), (10, "component"), (11, "element")):
    score(f"form.at-{name}", f"A {name} does not match a query with a @.", "@X", "X", None, kind=kind)
score("form.at-nested", "A nested annotation matches.", "@X", "X", 11, 1, kind=ANNOTATION, nested=True, pattern="X")
score("form.at-alone", "A @ alone: every annotation.", "@", "Override", 0, kind=ANNOTATION, pattern="")
score("form.at-later", "A @ elsewhere stays, and fits nothing.", "Over@ride", "Override", None, kind=ANNOTATION)
score("form.at-twice", "Only one @ is removed.", "@@X", "X", None, kind=ANNOTATION)
score("form.at-behind-space", "White space goes first.", " @X", "X", 11, 1, kind=ANNOTATION, pattern="X")
score("form.at-arguments", "An annotation with arguments is no method: nothing matches.", "@X(1)", "X", None,
    kind=ANNOTATION)
score("form.at-arguments-method", "Nor does a method.", "@X(1)", "X", None, kind=METHOD)
score("form.dollar", "A $ between names divides.", "Map$Entry", "Entry", 11, 1, 3, container="java.util.Map",
    nested=True, pattern="Entry")
score("form.dollar-name", "A name with a $ is not found by that form.", "Outer$Inner", "Outer$Inner", None)
score("form.dollar-before-lower", "A $ before a lower-case letter stays.", "a$b", "a$b", 11, 1, kind=METHOD)
score("form.dollar-before-digit", "A $ before a digit stays.", "Map$1", "Map$1", 11, 1)
score("form.dollar-first", "A $ at the beginning stays.", "$Proxy", "$Proxy", 11, 1)
score("form.dollar-last", "A $ at the end stays.", "a$", "a$", 11, 1, kind=METHOD)
score("form.dollar-behind-dot", "A $ behind a divider stays.", "a.$Proxy", "$Proxy", 11, 1, 3, container="a",
    pattern="$Proxy")
score("form.dollar-behind-hash", "A $ behind a # stays.", "a#$Proxy", "$Proxy", 11, 1, 3, container="a",
    pattern="$Proxy")
score("form.dollar-two", "Of two $ in a row the second one divides.", "a$$B", "B", 11, 1, 3, container="a$",
    pattern="B")
score("form.dollar-twice", "Each $ is looked at.", "A$B$C", "C", 11, 1, 3, container="A.B", nested=True, pattern="C")
score("form.dollar-upper-not-ascii", "Upper case that is not ASCII.", "a$Ä", "Ä", 11, 1, 3, container="a", pattern="Ä")
score("form.everything", "All steps at once.", " java/util/Map$Entry<K, V>.setValue ( V v ) ;", "setValue", 11, 1, 3,
    kind=METHOD, container="java.util.Map.Entry", pattern="setValue")

# ---- qualifiers
MAP = dict(container="java.util.Map", nested=True)
score("qualifier.one", "A qualifier names the enclosing type.", "Map.Entry", "Entry", 11, 1, 3, **MAP, pattern="Entry")
for sign, name in (("#", "hash"), (":", "colon"), ("/", "slash"), ("::", "two-colons")):
    score(f"qualifier.{name}", f"{sign} divides like a dot.", f"Map{sign}get", "get", 11, 1, 3, kind=METHOD,
        container="java.util.Map", pattern="get")
score("qualifier.prefix", "Quality 2: the beginning of the segment.", "Ma.Entry", "Entry", 11, 1, 2, **MAP,
    pattern="Entry")
score("qualifier.prefix-one-letter", "One letter is a beginning.", "M.Entry", "Entry", 11, 1, 2, **MAP,
    pattern="Entry")
score("qualifier.prefix-over-words", "A beginning may go over words.", "HashM.get", "get", 11, 1, 2, kind=METHOD,
    container="java.util.HashMap", pattern="get")
score("qualifier.humps", "Quality 1: humps, anchored.", "HMap#put", "put", 11, 1, 1, kind=METHOD,
    container="java.util.HashMap", pattern="put")
score("qualifier.humps-gap", "With a gap.", "CMap.put", "put", 11, 1, 1, kind=METHOD, container="a.ConcurrentHashMap",
    pattern="put")
score("qualifier.humps-lower", "In lower case.", "chm.put", "put", 11, 1, 1, kind=METHOD,
    container="a.ConcurrentHashMap", pattern="put")
score("qualifier.humps-prefix-not-equal", "A beginning needs no equality, though it is a prefix with an upper-case "
    "letter: quality 2.", "Hashm.put", "put", 11, 1, 2, kind=METHOD, container="a.HashMap", pattern="put")
score("qualifier.humps-not-anchored", "Humps from an inner word are none.", "HMap.put", "put", None, kind=METHOD,
    container="a.ConcurrentHashMap")
score("qualifier.substring", "A substring is none.", "ash.put", "put", None, kind=METHOD, container="a.HashMap")
score("qualifier.other-case", "Another case is none.", "HASHMAP.put", "put", None, kind=METHOD, container="a.HashMap")
score("qualifier.lower", "A qualifier in lower case: the bit of the case is about the name alone.", "map.Entry",
    "Entry", 11, 1, 3, **MAP, pattern="Entry")
score("qualifier.lower-both", "Both in lower case.", "map.entry", "Entry", 11, 0, 3, **MAP, pattern="Entry")
score("qualifier-upper-does-not-fit", "An upper-case qualifier does not fit a lower-case segment.", "Util.Map", "Map",
    None, container="java.util")
score("qualifier.two", "Two qualifiers are the last two segments.", "util.Map.Entry", "Entry", 11, 1, 3, **MAP,
    pattern="Entry")
score("qualifier-in-order", "Qualifiers stand in the order of the segments.", "Map.util.Entry", "Entry", None, **MAP)
score("qualifier-not-last", "A qualifier that is not the last segment does not match.", "java.Entry", "Entry", None,
    **MAP)
score("qualifier-too-many", "More qualifiers than segments.", "a.b.c.D", "D", None, container="b.c")
score("qualifier.all-segments", "As many qualifiers as segments.", "b.c.D", "D", 11, 1, 3, container="b.c",
    pattern="D")
score("qualifier-no-container", "A qualifier and no container.", "a.D", "D", None)
score("qualifier.least-counts", "The least quality counts: 2 of 2 and 3.", "ut.Map.Entry", "Entry", 11, 1, 2, **MAP,
    pattern="Entry")
score("qualifier.least-of-three", "1 of 3, 2 and 1.", "java.ut.HM.get", "get", 11, 1, 1, kind=METHOD,
    container="java.util.HashMap", pattern="get")
score("qualifier.empty-pattern", "A dot at the end: everything in this container.", "Map.", "Entry", 0, 0, 3, **MAP,
    pattern="")
score("qualifier.empty-pattern-humps", "With quality 1.", "HM#", "get", 0, 0, 1, kind=METHOD, container="a.HashMap",
    pattern="")
score("qualifier.empty-pattern-other", "Not what is in another one.", "Set.", "Entry", None, **MAP)
score("qualifier.leading-dot", "A leading dot leaves no qualifier.", ".Entry", "Entry", 11, 1, **MAP, pattern="Entry")
score("qualifier.double-dot", "Empty qualifiers are dropped.", "Map..Entry", "Entry", 11, 1, 3, **MAP, pattern="Entry")
score("qualifier.only-dots", "Only dividers: an empty pattern without qualifiers.", "..#", "Entry", 0, **MAP,
    pattern="")
score("qualifier.spaces", "White space is removed before the query is divided.", "Map . Entry", "Entry", 11, 1, 3,
    **MAP, pattern="Entry")
score("qualifier.weaker-pattern", "The pattern behind a qualifier may stand on any rung.", "Map.ent", "Entry", 8, 0, 3,
    **MAP, pattern="ent")
score("qualifier.weakest-pattern", "On the lowest with characters as well.", "Map.ENT", "Entry", 1, 0, 3, **MAP,
    pattern="ENT")

# ---- by container
score("container.whole", "What is in the type that is named stands on rung 9.", "java.util.Map", "get", 9, 0, 3,
    kind=METHOD, container="java.util.Map")
score("container.type", "The type itself matches by name, above it.", "java.util.Map", "Map", 11, 1, 3,
    container="java.util", pattern="Map")
score("container.short", "One qualifier and a pattern are enough.", "util.Map", "get", 9, 0, 3, kind=METHOD,
    container="java.util.Map")
score("container.lower", "In lower case.", "util.map", "get", 9, 0, 3, kind=METHOD, container="java.util.Map")
score("container.prefix", "With quality 2 on rung 0.", "util.Ma", "get", 0, 0, 2, kind=METHOD,
    container="java.util.Map")
score("container.prefix-of-first", "The least quality counts.", "ut.Map", "get", 0, 0, 2, kind=METHOD,
    container="java.util.Map")
score("container.humps", "With quality 1 on rung 0.", "util.HMap", "get", 0, 0, 1, kind=METHOD,
    container="java.util.HashMap")
score("container.no-qualifier", "A pattern without qualifiers does not match by container.", "Map", "get", None,
    kind=METHOD, container="java.util.Map")
score("container.inner-is-last", "Of what is deeper inside, the last segments count.", "util.Map", "getKey", None,
    kind=METHOD, container="java.util.Map.Entry")
score("container.higher-is-name", "By name and by container: the name, exact, is higher.", "a.a", "a", 11, 1, 3,
    kind=METHOD, container="a.a", pattern="a")
score("container.higher-is-container", "By name on a low rung, and by container on rung 9: that is higher.", "a.ab",
    "xaxb", 9, 0, 3, kind=METHOD, container="a.ab")
score("container.name-above-weak", "By name on the lowest rung, above a container of quality 2.", "m.mA", "ma", 1, 0, 2,
    kind=METHOD, container="m.MAx", pattern="mA")
score("container.constructor", "Constructors of the type are in it; with a qualifier they are not set back.",
    "util.Map", "Map", 11, 1, 2, kind=CONSTRUCTOR, container="java.utilities", pattern="Map")
score("container.constructor-inside", "A constructor that matches by container.", "util.Map", "Map", 9, 0, 3,
    kind=CONSTRUCTOR, container="java.util.Map")
score("container.call", "With a parenthesis only methods match by container.", "util.Map(", "get", 9, 0, 3,
    kind=METHOD, container="java.util.Map")
score("container.call-field", "And no fields.", "util.Map(", "size", None, kind=FIELD, container="java.util.Map")

# ---- paths
score("path.file", "A path of a file finds its type.", "java/util/Map.java", "Map", 11, 1, 3, container="java.util",
    pattern="Map")
score("path.longer", "A path may have more directories than the container has segments.", "src/main/java/util/Map.java",
    "Map", 11, 1, 3, container="java.util", pattern="Map")
score("path.longer-line", "With a line.", "src/main/java/util/Map.java:12", "Map", 11, 1, 3, container="java.util",
    pattern="Map")
score("path.longer-inside", "And what is in the type, by its container.", "src/main/java/util/Map.java", "get", 9, 0, 3,
    kind=METHOD, container="java.util.Map")
score("path.one-segment", "A container of one segment.", "src/main/a/Map", "Map", 11, 1, 3, container="a",
    pattern="Map")
score("path.no-segment", "A container without segments fits none, also of a path.", "src/Map.java", "Map", None)
score("path.does-not-fit", "The last qualifiers must fit.", "src/util/java/Map", "Map", None, container="java.util")
score("path.with-dots", "One / makes all of it a path.", "x.y/util/Map", "Map", 11, 1, 3, container="util",
    pattern="Map")
score("path.removed-slash", "A / in what was removed makes no path.", "a.b.Map<x/y>", "Map", None, container="b")
score("path.leading-slash", "A leading / makes a path, and no qualifier.", "/a.b.Map", "Map", 11, 1, 3, container="b",
    pattern="Map")
score("path.directory", "A / at the end: all in the package.", "src/java/util/", "Map", 0, 0, 3, container="java.util",
    pattern="")

# ---- modules
M = dict(kind=MODULE)
score("module.whole", "Without qualifiers the name is the whole.", "base", "java.base", 5, 1, **M)
score("module.qualified", "With qualifiers it is taken apart.", "java.base", "java.base", 11, 1, 3, **M, longer=0)
score("module.prefix", "The pattern is about what follows the last dot.", "java.b", "java.base", 8, 1, 3, **M, longer=3)
score("module.qualifier-prefix", "A qualifier may be a beginning.", "ja.base", "java.base", 11, 1, 2, **M, longer=0)
score("module.hash", "A # divides as well.", "java#base", "java.base", 11, 1, 3, **M, longer=0)
score("module.three", "Of three parts the first two are the container.", "b.c", "a.b.c", 11, 1, 3, **M, longer=0)
score("module.by-container", "By container, whatever its last part is.", "a.b", "a.b.c", 9, 0, 3, **M)
score("module.no-dot", "A module without a dot has no container.", "java.base", "base", None, **M)
score("module.leading-dot", "A leading dot leaves no qualifier: the name is the whole.", ".base", "java.base", 5, 1,
    **M,
    longer=5)
score("module.empty-pattern", "A dot at the end: all modules below.", "java.", "java.base", 0, 0, 3, **M, longer=0)
score("module.own-container", "What else is given as its container does not count.", "x.base", "java.base", None, **M,
    container="x")

# ---- constructors
for name, query, symbol, rung, case in (("exact", "HashMap", "HashMap", 11, 1), ("initials", "HM", "HashMap", 10, 1),
    ("prefix", "Hash", "HashMap", 8, 1), ("humps-first-row", "haMa", "HashMap", 7, 0), ("humps-first", "CMap", CHM, 6,
    1),
    ("humps-row", "Map", "HashMap", 5, 1), ("substring", "ash", "HashMap", 4, 1),
    ("humps", "BD", "AlphaBetaGammaDelta", 3, 1), ("subsequence", "hmp", "HashMap", 2, 0),
    ("other-case", "HASH", "HashMap", 1, 0), ("empty", "", "HashMap", 0, 0)):
    score(f"constructor.{name}", f"A constructor is set back: {name.replace('-', ' ')}.", query, symbol, rung, case,
        kind=CONSTRUCTOR, container="a.B", set_back=True)
score("constructor.qualified", "With a qualifier it is not.", "HashMap.Hash", "HashMap", 8, 1, 3, kind=CONSTRUCTOR,
    container="java.util.HashMap", pattern="Hash")
score("constructor.leading-dot", "A divider without a qualifier is none.", ".Hash", "HashMap", 8, 1, kind=CONSTRUCTOR,
    container="java.util.HashMap", pattern="Hash", set_back=True)
score("constructor.call", "With a parenthesis it is not.", "Hash(", "HashMap", 8, 1, kind=CONSTRUCTOR, pattern="Hash")

# ---- kinds and places
for kind, name in ((1, "class"), (2, "interface"), (3, "enum"), (4, "record"), (5, "annotation")):
    score(f"kind.{name}", f"A top-level {name} weighs 7.", "X", "X", 11, 1, kind=kind)
    score(f"kind.{name}-nested", f"A nested {name} weighs 6.", "X", "X", 11, 1, kind=kind, nested=True, container="a.B")
for kind, name in ((0, "module"), (6, "method"), (8, "field"), (9, "constant"), (10, "component"), (11, "element")):
    score(f"kind.{name}", f"A {name} weighs {WEIGHT[kind]}.", "x", "x", 11, 1, kind=kind)
score("kind.constructor", "A constructor weighs 1; it is set back.", "x", "x", 11, 1, kind=7, set_back=True)
score("kind.method-nested", "Only types weigh less inside another type.", "x", "x", 11, 1, kind=METHOD, container="a.B")
for place, path, name in ((0, "src/test/java/A.java", "test"), (2, "src/main/java/A.java", "main"),
    (0, "tests/A.java", "tests"), (0, "a/androidTest/A.java", "android-test"),
    (0, "a/ANDROIDTEST/A.java", "android-test-upper"), (0, "a/integrationTest/A.java", "integration-test"),
    (0, "a/testFixtures/A.java", "test-fixtures"), (0, "build/generated/A.java", "generated"),
    (0, "build/generated-sources/A.java", "generated-sources"),
    (0, "generated-test-sources/A.java", "generated-test-sources"), (0, "src-gen/A.java", "src-gen"),
    (0, "Test/A.java", "test-mixed-case"), (2, "test", "file-named-test"), (2, "a/test", "file-in-directory"),
    (2, "a/test.java", "file-with-suffix"), (2, "testing/A.java", "testing"), (2, "latest/A.java", "latest"),
    (0, "test.d/A.java", "part-first"), (0, "a.test/A.java", "part-last"), (0, "org.x.tests.y/A.java", "part-inner"),
    (2, "a.testing/A.java", "part-longer"), (2, "src/tests2/A.java", "tests2"), (2, "a-test/A.java",
    "hyphen-is-no-dot"),
    (0, "test/", "only-directory"), (0, "a//test//A.java", "empty-parts"), (2, "src-generated/A.java", "src-generated"),
    (2, "a/teſt/A.java", "long-s-is-not-ascii"), (1, "jdk/internal/A.java", "internal"), (1, "sun/misc/A.java", "sun"),
    (1, "Sun/A.java", "sun-mixed-case"), (1, "jdk.internal.vm/A.java", "internal-part"),
    (1, "com.sun.jndi/A.java", "sun-part"), (2, "sunny/A.java", "sunny"), (2, "internals/A.java", "internals"),
    (2, "a/internal", "file-named-internal"), (0, "sun/test/A.java", "tests-before-internal"),
    (0, "test/internal/A.java", "tests-above-internal"), (0, "internal.test/A.java", "both-in-one-name"),
    (2, "A.java", "no-directory"), (2, "", "empty")):
    score(f"place.{name}", f"The path {path}: place {place}.", "A", "A", 11, 1, path=path, place=place)

# ---- closeness
score("closeness.one", "One character more than the pattern.", "HashMa", "HashMap", 8, 1)
score("closeness.floor", "A name longer than 65,535 characters: closeness stops at 0.", "a", "a" * 65600, 8, 1)
score("closeness.exact-zero", "A name exactly 65,535 longer than the pattern: 0.", "a", "a" * 65536, 8, 1)
score("closeness.initials", "Closeness of initials counts the whole name.", "AB", "AlphaBeta", 10, 1)
score("closeness.other-case", "On rung 1 it counts.", "HASH", "HashMap", 1)
score("closeness.pattern-of-form", "The pattern counts, as it is left of the query.", "Map<K>.ent", "Entry", 8, 0, 3,
    **MAP,
    pattern="ent")
score("closeness.characters", "Characters count, not bytes.", "ä", "äöü", 8, 1)


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
o.case("truncated-empty", "A truncated answer without entries, which a worker with one long name may give: all may "
    "stand behind what is missing.", CODEC, "positive", "A-37- A-37+", [{"compute": "merge", "args": {"limit": 10,
    "answers": [{"hits": [], "truncated": True}, {"hits": [B1], "truncated": False}]},
    "value": {"hits": [], "truncated": True}}])
merge("truncated-empty-and-short", "Beside a truncated answer with entries: everything is dropped all the same.", 10,
    [{"hits": [A1, A2], "truncated": True}, {"hits": [], "truncated": True}], [], True, "A-37- A-30-")
