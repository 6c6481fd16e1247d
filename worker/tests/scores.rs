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
    ("HashMap", &["HashMap", "HashMapEntry", "HashFooMap", "ConcurrentHashMap", "MyHashMap2000000000", "Hashmap", "hashmapX"], &["HashXap"]),
    ("hashmap", &["HashMap", "HashMaps", "HashTreeMap", "LinkedHashMap", "Rehashmap1234567"], &["HashMa"]),
    ("ConcurHM", &["ConcurrentHashMap", "ConcurrentHashXMap"], &["ConcurrentHashmap", "concurrentHashMap", "HashMap"]),
    ("oncurrent", &["Concurrent", "ConcurrentMap", "OxnCurrents"], &["Current"]),
    // Initials, of all words and in upper case only.
    ("CHM", &["ConcurrentHashMap", "nested:CHMaxFragment", "field:CHM_SIZE", "ConcurrentHashMapEntry", "CopyOnHugeMap", "MyConcurrentHashMap", "chmod", "method:chmod"], &["ConcurrentHashmap"]),
    ("NPE", &["NullPointerException", "NPException", "NullPointerExceptionTest"], &["nullPointerException", "NullException"]),
    ("SB", &["StringBuilder", "SBRuler", "StringBufferX2", "MyStringBuilder", "Sb"], &["method:subBytes"]),
    ("chm", &["Chm", "method:chmod", "ConcurrentHashMap", "CachedHugeObjectMap"], &[]),
    ("IOOBE", &["IndexOutOfBoundsException", "ArrayIndexOutOfBoundsException", "StringIndexOutOfBoundsException"], &["IOException"]),
    // Humps: anchored, unbroken.
    ("conhama", &["ConcurrentHashMap", "ConcurrentHashTreeMap", "MyConcurrentHashMap", "MyConcurrentHashTreeMap"], &["Conhema"]),
    ("HM", &["HashMap", "HMAC", "HashMapEntry", "HashTreeMapX", "LinkedHashMap", "LinkedHashTreeMap"], &["Hashmap"]),
    ("gn", &["method:gnome", "method:getName", "method:getLongName", "method:forgetName"], &["method:next"]),
    ("aab", &["aabc", "aaAb", "AaXxAbx"], &["aba"]),
    ("XP", &["XPath", "XmlParser", "XmlTreeParser", "xp"], &[]),
    ("xpars", &["XMLParser", "XMLTreeParser", "NewXMLParser"], &["XPrs"]),
    ("toS", &["method:toString", "method:toLongString", "method:autoStart", "method:TOs", "method:tostring"], &["method:toes"]),
    // Digits, separators, constants.
    ("b64", &["Base64", "Base64Coder", "MyBase64"], &["Base46"]),
    ("utf8", &["UTF8", "UTF8Reader", "UTF_8", "MyUTF8"], &["UTF16"]),
    ("mv", &["field:MAX_VALUE", "field:MAX_INT_VALUE", "field:THE_MAX_VALUE"], &["field:VALUE_MAX"]),
    ("MAX_V", &["field:MAX_VALUE", "field:MAX_INT_VALUE", "field:max_value"], &["field:MAXV"]),
    ("max_v", &["field:max_value", "field:MAX_VALUE1", "field:THE_MAX_VALUE"], &["field:maxValue"]),
    ("foo", &["field:foo", "field:FOO", "field:_foo", "field:this$foo", "field:xfoo"], &["field:f0o"]),
    ("a1", &["method:a1", "method:access$1", "method:get_a1"], &["method:a"]),
    // Kinds: types, members, values; a constructor after its class.
    ("List", &["interface:List", "nested:A/List", "element:A/List", "constant:A/List", "field:A/List", "ListX", "MyList", "constructor:A/List", "method:list"], &["method:lst"]),
    ("run", &["Run", "method:run", "constant:run", "constant:RUN", "field:run", "RunX", "method:toRun", "constructor:Run", "constructor:RunX", "method:prune"], &["method:rn"]),
    ("HashMap", &["java.util/HashMap", "constructor:java.util.HashMap/HashMap"], &[]),
    ("val", &["ValueOf12345", "method:value", "constant:VALUE", "component:value", "constructor:Val12"], &[]),
    ("mod", &["Mod", "module:mod", "method:mod", "ModX", "module:modx"], &[]),
    // Shorter names before longer ones, product code before tests, the same case last.
    ("str", &["Str", "String", "Strings", "StringBuilder"], &["Sting"]),
    ("Foo", &["FooBar", "FooBars", "FooBar@src/test/FooBar.java", "FooBar1@src/test/FooBar1.java"], &[]),
    ("Foo", &["FooBars@java.base/java/FooBars.java", "Foo1@jdk.internal.vm/a/Foo1.java", "FooBar@java.base/sun/a/FooBar.java", "Foo1@a.tests/internal/Foo1.java"], &[]),
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
    ("java.b", &["java/base", "module:java.base", "module:my.javax.base"], &["b"]),
    ("base", &["module:base", "module:java.base", "module:xbase"], &["module:java.sql"]),
    ("Map.", &["method:java.util.Map/get", "constructor:java.util.Map/Map"], &["java.util/Map"]),
    ("util.Map", &["java.util/Map", "nested:java.util.Map/Entry", "method:java.util.Map/get", "constructor:java.util.Map/Map", "java.util/MapX", "method:java.util.MapX/get"], &["method:Map/get"]),
    ("java.util", &["java.util/Map", "java.utils/Map"], &["java.util.zip/ZipFile"]),
    ("HMap#put", &["method:java.util.HMap/put", "method:java.util.HMapX/put", "method:java.util.HashMap/put", "method:java.util.HashMap/putAll"], &["method:Map/put", "method:TheHashMap/put"]),
    ("CHM#put", &["method:java.util.concurrent.ConcurrentHashMap/put"], &["method:chmod/put"]),
    ("net.http", &["module:java.net.http", "module:java.net.https", "module:java.network.https"], &["module:java.https"]),
    ("HashMap.HashMap", &["constructor:java.util.HashMap/HashMap", "nested:java.util.HashMap/HashMapIterator"], &["java.util/HashMap"]),
    // As people type them.
    ("Map::put", &["method:java.util.Map/put", "method:java.util.Map/putAll"], &["method:Set/put"]),
    ("Map$Entry", &["nested:java.util.Map/Entry"], &["MapEntry"]),
    ("access$1", &["method:access$1", "method:access$100"], &["method:access/1"]),
    ("$Pro", &["$Proxy", "My$Proxy"], &["Proxy"]),
    ("put(K key, V value)", &["method:put", "constructor:put", "method:putAll", "constructor:Putter"], &["field:put", "put"]),
    ("Map<K, V>", &["Map", "constructor:Map"], &[]),
    ("String[]", &["String"], &[]),
    ("Hash*", &["HashMap"], &[]),
    ("@Over", &["annotation:Override"], &["Override", "method:over"]),
    ("HashMap.java", &["HashMap", "HashMapX"], &["java/Hash"]),
    ("HashMap.java:612", &["HashMap"], &[]),
    ("src/java/util/HashMap.java", &["java.util/HashMap", "method:java.util.HashMap/get"], &["HashMap", "java.net/HashMap"]),
    ("java.base/java.util.HashMap.put(HashMap.java:612)", &["method:java.util.HashMap/put"], &["field:java.util.HashMap/put"]),
    // White space, other scripts, no pattern at all.
    (" hash map ", &["HashMap", "HashMaps"], &["Hash"]),
    ("éc", &["École", "MonÉcole", "xéc"], &["Ecole"]),
    ("ÉO", &["ÉcoleOuverte", "ÉOLE"], &["écoleOuverte", "EcoleOuverte"]),
    ("straße", &["Straße", "HauptStraße", "Hauptstraße"], &["Strasse"]),
    ("漢", &["漢字", "大漢"], &["字"]),
    ("k", &["\u{212A}", "\u{212A}a"], &[]),
    ("", &["Top", "nested:A/Inner", "module:a.b", "method:A/m", "constant:A/C", "field:A/f", "constructor:A/A"], &[]),
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
        ("HashMap", "java.util/HashMap@java/util/HashMap.java", 0xB1E1_FFFF),
        ("hashmap", "java.util/HashMap@java/util/HashMap.java", 0xB1E1_FFFE),
        ("HashMap", "java.util/HashMap@src/Test/util/HashMap.java", 0xB1C1_FFFF),
        ("HashMap", "java.util/HashMap@jdk/Internal.vm/HashMap.java", 0xB1D1_FFFF),
        ("HM", "java.util/HashMap", 0xA9E1_FFF5),
        ("HM", "_HashMap", 0x81E1_FFF3),
        ("Hash", "nested:a.B/HashMap", 0x99A1_FFF9),
        ("HasH", "nested:a.B/HashHMap", 0x91A1_FFF7),
        ("hm", "method:a.B/hashMap", 0x9121_FFF4),
        ("gv", "constant:a.B/GET_THE_VALUE@test", 0x88E1_FFE8),
        ("HashMap", "constructor:a.B/HashMap", 0x7861_FFFF),
        ("map", "constructor:a.B/HashMap", 0x4861_FFF6),
        ("HashMap(", "constructor:a.B/HashMap", 0xB061_FFFF),
        ("ashM", "field:a.B/hashMap", 0x40A1_FFF9),
        ("tv", "field:a.B/GET_THE_OLD_VALUE", 0x30A1_FFE0),
        ("hp", "module:hash.map", 0x2161_FFF3),
        ("hp", "constructor:a.B/hashmap", 0x1861_FFF5),
        ("HASH", "java.util/HashMap", 0x11E1_FFF8),
        ("HASH", "constructor:java.util/HashMap", 0x0861_FFF8),
        ("", "nested:a.B/HashMap", 0x01A0_0000),
        ("util.Hash", "java.util/HashMap", 0x9FE1_FFF9),
        ("u.Hash", "java.util/HashMap", 0x9DE1_FFF9),
        ("HM.get", "method:HashMap/get", 0xB321_FFFF),
        ("util.Map", "constructor:java.util.Map/Map@generated/Map.java", 0xA640_0000),
        ("u.Map", "method:java.util.Map/get", 0x0520_0000),
        ("java.base", "module:java.base", 0xB761_FFFF),
        ("Map#", "method:java.util.Map/get@generated/Map.java", 0x0700_0000),
    ];
    for (query, symbol, expected) in vectors {
        let found = score(query, symbol).unwrap_or_default();
        assert_eq!(found, expected, "`{query}` for {symbol}: {found:#010x}, not {expected:#010x}");
    }
}

#[test]
fn names_too_long_to_tell_apart_score_alike() {
    let scores = [70_000, 80_000].map(|length| score("a", &"a".repeat(length)));
    assert_eq!(scores, [Some(0x99E0_0001); 2]);
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
