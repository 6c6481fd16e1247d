//! The order that queries put symbols in, and exact scores for implementations in other languages to check against.

use nova_proto_core::messages::SymbolKind;
use nova_worker::index::{KindSet, Query, QueryError};

/// A symbol in short: `[kind:][container/]name[@path]`, a top-level class in the unnamed package if nothing is said.
/// The kinds are those of [`SymbolKind`], and `nested` for a class inside another type.
fn score(query: &str, symbol: &str) -> Option<u32> {
    let (kind, rest) = symbol.split_once(':').unwrap_or(("class", symbol));
    let (rest, path) = rest.split_once('@').unwrap_or((rest, "src/A.java"));
    let (container, name) = rest.split_once('/').unwrap_or(("", rest));
    let top_level = kind != "nested";
    let kind = kind.parse().unwrap_or(SymbolKind::Class);
    Query::parse(query, KindSet::ALL).unwrap().score(name, kind, container, top_level, path)
}

/// A query, symbols from the best to the worst, and symbols that do not match.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // The ladder.
    ("map", &["Map", "MapEntry", "ManyAppliances", "FileMap", "TheMadApple", "bitmaps", "TimeApp"], &["Mop", "pam", ""]),
    ("HashMap", &["HashMap", "HashMapEntry", "HashFooMap", "ConcurrentHashMap", "MyHashMap2000000000"], &["hashMap", "Hashmap"]),
    ("hashmap", &["HashMap", "HashMaps", "HashTreeMap", "LinkedHashMap", "Rehashmap1234567"], &["HashMa"]),
    ("ConcurHM", &["ConcurrentHashMap", "ConcurrentHashXMap"], &["ConcurrentHashmap", "concurrentHashMap", "HashMap"]),
    ("oncurrent", &["Concurrent", "ConcurrentMap", "OxnCurrents"], &["Current"]),
    // Initials, of all words and in upper case only.
    ("CHM", &["ConcurrentHashMap", "nested:CHMaxFragment", "field:CHM_SIZE", "ConcurrentHashMapEntry", "CopyOnHugeMap", "MyConcurrentHashMap"], &["chmod", "method:chmod", "ConcurrentHashmap"]),
    ("NPE", &["NullPointerException", "NPException", "NullPointerExceptionTest"], &["nullPointerException", "NullException"]),
    ("SB", &["StringBuilder", "SBRuler", "StringBufferX2", "MyStringBuilder"], &["Sb", "method:subBytes"]),
    ("chm", &["Chm", "method:chmod", "ConcurrentHashMap", "CachedHugeObjectMap"], &[]),
    ("IOOBE", &["IndexOutOfBoundsException", "ArrayIndexOutOfBoundsException", "StringIndexOutOfBoundsException"], &["IOException"]),
    // Humps: anchored, unbroken.
    ("conhama", &["ConcurrentHashMap", "ConcurrentHashTreeMap", "MyConcurrentHashMap", "MyConcurrentHashTreeMap"], &["Conhema"]),
    ("HM", &["HashMap", "HMAC", "HashMapEntry", "HashTreeMapX", "LinkedHashMap", "LinkedHashTreeMap"], &["Hashmap"]),
    ("gn", &["method:gnome", "method:getName", "method:getLongName", "method:forgetName"], &["method:next"]),
    ("aab", &["aabc", "aaAb", "AaXxAbx"], &["aba"]),
    ("XP", &["XPath", "XmlParser", "XmlTreeParser"], &["xp"]),
    ("xpars", &["XMLParser", "XMLTreeParser", "NewXMLParser"], &["XPrs"]),
    ("toS", &["method:toString", "method:toLongString", "method:autoStart"], &["method:tostring", "method:TOs"]),
    // Digits, separators, constants.
    ("b64", &["Base64", "Base64Coder", "MyBase64"], &["Base46"]),
    ("utf8", &["UTF8", "UTF8Reader", "UTF_8", "MyUTF8"], &["UTF16"]),
    ("mv", &["field:MAX_VALUE", "field:MAX_INT_VALUE", "field:THE_MAX_VALUE"], &["field:VALUE_MAX"]),
    ("MAX_V", &["field:MAX_VALUE", "field:MAX_INT_VALUE"], &["field:MAXV", "field:max_value"]),
    ("max_v", &["field:max_value", "field:MAX_VALUE1", "field:THE_MAX_VALUE"], &["field:maxValue"]),
    ("foo", &["field:foo", "field:FOO", "field:_foo", "field:this$foo", "field:xfoo"], &["field:f0o"]),
    ("a1", &["method:a1", "method:access$1", "method:get_a1"], &["method:a"]),
    // Kinds: types, members, values; a constructor after its class.
    ("List", &["interface:List", "nested:A/List", "element:A/List", "constructor:A/List", "constant:A/List", "field:A/List", "ListX"], &["method:list"]),
    ("run", &["Run", "method:run", "constructor:Run", "constant:run", "constant:RUN", "field:run", "RunX"], &["method:rn"]),
    ("HashMap", &["java.util/HashMap", "constructor:java.util.HashMap/HashMap"], &[]),
    ("val", &["ValueOf12345", "method:value", "constructor:Val12", "constant:VALUE", "component:value"], &[]),
    ("mod", &["Mod", "module:mod", "method:mod", "ModX", "module:modx"], &[]),
    // Shorter names before longer ones, product code before tests, the same case last.
    ("str", &["Str", "String", "Strings", "StringBuilder"], &["Sting"]),
    ("Foo", &["FooBar", "FooBars", "FooBar@src/test/FooBar.java", "FooBar1@src/test/FooBar1.java"], &[]),
    ("Foo", &["Foo@src/latest/Foo.java", "Foo@a/generated-sources/b/Foo.java", "FooBar"], &[]),
    ("get", &["method:get", "method:Get", "method:getA", "method:GetA", "method:getAB", "method:forget"], &["method:gt"]),
    ("hshmp", &["HashMap", "WeakHashMap", "AsynchronousFileChannelImpl"], &["HshPm"]),
    // Qualifiers.
    ("util.HashMap", &["java.util/HashMap", "com.utils/HashMap", "java.util/HashMaps", "com.utils/HashMaps"], &["java.util.concurrent/HashMap", "HashMap", "util/Map"]),
    ("Map#put", &["method:java.util.Map/put", "method:a.MapX/put", "method:java.util.Map/putAll", "method:a.Map/input"], &["method:java.util.HashMap/put", "method:Mop/put"]),
    ("Map.put", &["method:java.util.Map/put", "method:a.MapX/put", "method:java.util.Map/putAll"], &["method:map/Put1x"]),
    ("map.entry", &["nested:java.util.Map/Entry", "method:java.util.Map/entry", "field:java.util.Map/entry", "nested:java.util.Map/EntrySet"], &["nested:Table/Entry"]),
    ("Map.Entry#getK", &["method:java.util.Map.Entry/getKey", "method:java.util.Map.EntryX/getKey"], &["method:java.util.Map/getKey", "method:Entry/getKey"]),
    ("j.u.c.CHM", &["java.util.concurrent/ConcurrentHashMap", "java.util.concurrent/CHMap"], &["java.util/ConcurrentHashMap"]),
    ("Map#", &["nested:java.util.Map/Entry", "method:java.util.Map/get", "field:java.util.Map/size", "method:MapX/get"], &["HashMap", "java.util/Map"]),
    (".HashMap", &["HashMap", "a.b/HashMap1"], &[]),
    ("java.base", &["java/base", "module:java.base"], &["module:base", "base"]),
    ("java.b", &["java/base", "module:java.base", "module:my.java.base"], &["b"]),
    ("base", &["module:base", "module:java.base", "module:xbase"], &["module:java.sql"]),
    // White space, other scripts, no pattern at all.
    (" hash map ", &["HashMap", "HashMaps"], &["Hash"]),
    ("éc", &["École", "MonÉcole", "xéc"], &["Ecole"]),
    ("ÉO", &["ÉcoleOuverte", "ÉOLE"], &["écoleOuverte", "EcoleOuverte"]),
    ("straße", &["Straße", "HauptStraße", "Hauptstraße"], &["Strasse"]),
    ("漢", &["漢字", "大漢"], &["字"]),
    ("k", &["\u{212A}", "\u{212A}a"], &[]),
    ("", &["Top", "nested:A/Inner", "module:a.b", "method:A/m", "constructor:A/A", "constant:A/C", "field:A/f"], &[]),
];

#[test]
fn symbols_come_in_the_expected_order() {
    let mut wrong = Vec::new();
    for &(query, expected, absent) in ROWS {
        wrong.extend(
            absent
                .iter()
                .filter(|symbol| score(query, symbol).is_some())
                .map(|symbol| format!("`{query}` finds {symbol}")),
        );
        let scores: Vec<_> =
            expected.iter().map(|symbol| (score(query, symbol).unwrap_or(0), *symbol)).collect();
        let unsorted = scores.windows(2).filter(|pair| pair[0].0 <= pair[1].0);
        wrong.extend(unsorted.map(|pair| format!("`{query}`: {pair:x?}")));
        wrong.extend(
            scores
                .iter()
                .filter(|(score, _)| *score == 0)
                .map(|(_, symbol)| format!("`{query}` misses {symbol}")),
        );
    }
    assert!(ROWS.len() >= 40 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_scores_are_the_documented_ones() {
    let vectors = [
        ("HashMap", "java.util/HashMap@java/util/HashMap.java", 0x9781_FFFF),
        ("hashmap", "java.util/HashMap@java/util/HashMap.java", 0x9781_FFFE),
        ("HashMap", "java.util/HashMap@src/Test/util/HashMap.java", 0x9701_FFFF),
        ("HM", "java.util/HashMap", 0x8781_FFF5),
        ("HM", "_HashMap", 0x4781_FFF3),
        ("Hash", "nested:a.B/HashMap", 0x7681_FFF9),
        ("hm", "method:a.B/hashMap", 0x6481_FFF4),
        ("gv", "constant:a.B/GET_THE_VALUE@test", 0x5281_FFE8),
        ("map", "constructor:a.B/HashMap", 0x4381_FFF6),
        ("ashM", "field:a.B/hashMap", 0x3181_FFF9),
        ("tv", "field:a.B/GET_THE_OLD_VALUE", 0x2181_FFE0),
        ("hp", "module:hash.map", 0x1581_FFF3),
        ("", "nested:a.B/HashMap", 0x0680_0000),
        ("util.Hash", "java.util/HashMap", 0x7F81_FFF9),
        ("u.Hash", "java.util/HashMap", 0x7781_FFF9),
        ("Map#", "method:java.util.Map/get@generated/Map.java", 0x0C00_0000),
    ];
    for (query, symbol, expected) in vectors {
        let found = score(query, symbol).unwrap_or_default();
        assert_eq!(found, expected, "`{query}` for {symbol}: {found:#010x}, not {expected:#010x}");
    }
}

#[test]
fn names_too_long_to_tell_apart_score_alike() {
    let scores = [70_000, 80_000].map(|length| score("a", &"a".repeat(length)));
    assert_eq!(scores, [Some(0x7780_0001); 2]);
}

#[test]
fn queries_are_bounded() {
    let most = "a".repeat(Query::MAX_CHARS);
    assert!(Query::parse(&most, KindSet::ALL).is_ok());
    assert!(Query::parse(&"é".repeat(Query::MAX_CHARS), KindSet::ALL).is_ok());
    let error = Query::parse(&format!("{most} "), KindSet::ALL).unwrap_err();
    assert_eq!(error, QueryError::TooLong { max: 256 });
    assert_eq!(error.to_string(), "the query is too long: at most 256 characters are allowed");
}

#[test]
fn kinds_restrict_what_is_found() {
    let kinds = KindSet::from_iter([SymbolKind::Method, SymbolKind::Module]);
    assert_eq!(kinds.iter().collect::<Vec<_>>(), [SymbolKind::Module, SymbolKind::Method]);
    let score = |query, kind| Query::parse(query, kinds).unwrap().score("a", kind, "b", true, "");
    assert!(score("a", SymbolKind::Method).is_some() && score("a", SymbolKind::Class).is_none());
    assert!(score("b.a", SymbolKind::Method).is_some() && score("b.a", SymbolKind::Class).is_none());
    assert!(score("b.a", SymbolKind::Module).is_none());
    assert_eq!(KindSet::ALL.iter().count(), SymbolKind::ALL.len());
}
