//! Counts the bytes that are looked at, so that tests can tell linear work from more without a clock.

/// Says that about so many bytes are looked at. Outside of tests this does nothing.
#[inline(always)]
pub(super) fn count(bytes: usize) {
    #[cfg(test)]
    tests::STEPS.set(tests::STEPS.get() + 1 + bytes);
    let _ = bytes;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::path::Path;

    use super::super::extract;

    thread_local! {
        pub(super) static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    fn steps(text: &str) -> usize {
        STEPS.set(0);
        let _outline = extract(text);
        STEPS.get()
    }

    /// How texts begin, and what then comes again and again.
    const HOSTILE: &[(&str, &str)] = &[
        ("", "("),
        ("", "{"),
        ("", "}"),
        ("", "<"),
        ("", "["),
        ("", "\""),
        ("", "'"),
        ("", "\"\"\"\n"),
        ("", "/*"),
        ("", "/*\n"),
        ("class A { ", "@A("),
        ("", "@A(\n"),
        ("class A { int x = ", "a < b, "),
        ("class A { int x = ", "a(\n"),
        ("class A { int x = ", "\n"),
        ("class A { int x = a", "\n\n// c\n"),
        ("class A { ", "void f("),
        ("class A { ", "void f(\n"),
        ("class A { ", "void f() {\n"),
        ("class A { void f() {", "\nint x = (("),
        ("class A { void f() {", "\n@A(\n"),
        ("class A { void f() {\n", "=======\n"),
        ("class A { ", "List<"),
        ("", "class A { "),
        ("", "class A {\n"),
        ("", "record A("),
        ("", "record A(int x,"),
        ("enum A { ", "B("),
        ("enum A { ", "B "),
        ("", "\\u007b"),
        ("", "int a,"),
        ("class A { ", "int a;"),
        ("", "\\"),
        ("", "a."),
        ("", "import a.\n"),
        ("", "\t"),
        ("class A { void f() { ", "/*\n{"),
        ("class A { int x = ", "a, b = c < d, "),
        ("} ", "int a;"),
        ("} class A { } ", "\nint a;"),
        ("class A { int x = ", "() -> {\n"),
        ("class A { int x = f(", "() -> {\n"),
        ("/* ", "\n/* "),
        ("", "@A @B "),
        ("class A { int x = ", "a<\n"),
        ("class A { int x = ", "a.\n"),
        ("class A { int x = ", "a<b>\n"),
        ("class A { int x = ", "a b(\n"),
        ("class A { int x = ", "a[]\n"),
        ("class A { int x = ", "@A\n"),
        ("class A { int x = ", "final\n"),
        ("class A { int x = f(", "a<\n"),
        ("class A { int x = f((", "@A(\n"),
        ("} ", "@\n"),
        ("} ", "@A\n"),
        ("} ", "@A("),
        ("} ", "@A(\n"),
        ("} ", "final\n"),
        ("} ", "record\n"),
        ("} class A { ", "@\n"),
        ("} class A { void f() {\n", "@\n"),
        ("class A {\n int x;\n void f() {\n", "@\n"),
        ("class A {\n int x;\n void f() {\n", "@A\n"),
        ("class A {\n int x;\n void f() {\n", "final\n"),
        ("class A {\n int x;\n void f() {\n", "a<\n"),
        ("} class A {\n int x;\n}\n", "@\n"),
        ("} class A {\n int x;\n", "@\n"),
        ("} class A {\n void f() {\n", "a<\n"),
        ("} class A {\n void f() {\n", "a b(\n"),
        ("} class A {\n void f() {\n", "a b({\n"),
        ("} class A {\n void f() {\n  x\n", " @\n"),
        ("enum A { ", "B<\n"),
        ("enum A { ", "B.\n"),
        ("class A ", "B\n"),
        ("class A ", "B\nC<"),
        ("class A { ", "int x = a<\n;"),
        ("class A { ", "\u{200b}"),
        ("", "\u{200b}"),
        ("", "package "),
        ("", "package a."),
        ("", "é"),
    ];

    /// Four times the text takes four times the work, where anything quadratic would take sixteen times; and what is read
    /// again to judge what it may be is a small multiple of the text.
    #[test]
    fn work_is_linear_on_hostile_text() {
        for (start, piece) in HOSTILE {
            let text = |size: usize| format!("{start}{}", piece.repeat(size / piece.len()));
            let (short, long) = (steps(&text(30_000)), steps(&text(120_000)));
            assert!(short >= 5_000, "{start:?} {piece:?}: {short} steps are not all");
            assert!(
                long <= short * 9 / 2,
                "{start:?} {piece:?}: {short} steps, and {long} for four times the text"
            );
            assert!(long <= 20 * 120_000, "{start:?} {piece:?}: {} steps a byte", long / 120_000);
        }
    }

    /// What is read again because lines are missing, doubled or in another order is a small multiple of the text.
    #[test]
    fn work_is_bounded_on_damaged_text() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let names = ["Annotations", "Corners", "Everyday", "Modern", "Odd"];
        let read = |name: &str| fs::read_to_string(fixtures.join(format!("{name}.java"))).expect("is there");
        let whole: String = names.into_iter().map(read).collect();
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        let mut most = 0;
        for from in 0..lines.len() {
            for count in 1..4 {
                let (head, tail) = lines.split_at(from);
                let (hit, tail) = tail.split_at(count.min(tail.len()));
                let swapped: Vec<&str> = hit.iter().rev().copied().collect();
                for damaged in [[head, &[], tail], [head, &swapped, tail], [head, &[hit, hit].concat(), tail]]
                {
                    let text = damaged.concat().concat();
                    let steps = steps(&text) / text.len().max(1);
                    assert!(steps <= 12, "{steps} steps a byte with {count} lines of {from}");
                    most = most.max(steps);
                }
            }
        }
        println!("at most {most} steps a byte");
    }
}
