use super::{read, shown};
use crate::syntax::Quote;

#[test]
fn words_are_cut_as_nginx_cuts_them() {
    for (text, want) in [
        ("", ""),
        ("# only a comment", ""),
        ("a;", "<a>;"),
        ("a b  c ;", "<a><b><c>;"),
        ("a\tb\r\nc\r\n;\r\n", "<a><b><c>;"),
        ("a{b;}", "<a>{<b>;}"),
        ("a # c ; {\n b;", "<a><b>;"),
        ("a b#c;", "<a><b#c>;"),
        ("a b}c;", "<a><b}c>;"),
        ("a 'b c' \"d e\";", "<a><b c><d e>;"),
        ("a b\"c\" d'e;", "<a><b\\\"c\\\"><d\\'e>;"),
        ("a \"\" '';", "<a><><>;"),
        ("\"a\" b;", "<a><b>;"),
        ("a \"b\"{c;}", "<a><b>{<c>;}"),
        ("if ($a = \"b\") { c; }", "<if><($a><=><b><)>{<c>;}"),
        ("a ${b}c;", "<a><${b}c>;"),
        ("a $b{c;}", "<a><$b>{<c>;}"),
        ("a x${b};", "<a><x${b}>;"),
        ("a ${{b;", "<a><${{b>;"),
        ("a $$b;", "<a><$$b>;"),
        ("a b${c;d;", "<a><b${c>;<d>;"),
    ] {
        assert_eq!(shown(text), want, "{text:?}");
    }
}

#[test]
fn escapes_are_those_of_nginx() {
    for (text, want) in [
        (r"a \n\t\r;", r"<a><\n\t\r>;"),
        (r#"a "\"\\\'";"#, r#"<a><\"\\\'>;"#),
        (r"a '\'';", r"<a><\'>;"),
        (r"a ~\.php$;", r"<a><~\\.php$>;"),
        (r"a b\ c;", r"<a><b\\ c>;"),
        (r"a b\;c;", r"<a><b\\;c>;"),
        (r"a b\{2\};", r"<a><b\\{2\\}>;"),
        (r"a \#b;", r"<a><\\#b>;"),
        (r"a \}b;", r"<a><\\}b>;"),
        (r#"a \"b;"#, r#"<a><\"b>;"#),
        (r"a \$b{c;}", r"<a><\\$b>{<c>;}"),
        (r#"a "^/x{2}\d";"#, r"<a><^/x{2}\\d>;"),
    ] {
        assert_eq!(shown(text), want, "{text:?}");
    }
}

#[test]
fn quotes_are_remembered_and_spans_hold_them() {
    let (map, tree, _) = read(b"a 'b' \"c\" d;");
    let args = &tree.node(tree.roots[0]).args;
    let quotes: Vec<Quote> = args.iter().map(|w| w.quote).collect();
    assert_eq!(quotes, [Quote::Single, Quote::Double, Quote::None]);
    assert_eq!(map.text(args[0].span), b"'b'");
    assert_eq!(map.text(tree.node(tree.roots[0]).span), b"a 'b' \"c\" d;");
}

#[test]
fn zeros_and_bytes_that_are_no_text_are_bytes() {
    let (_, tree, errors) = read(b"a \0 \xff\xfe;");
    assert!(errors.is_empty());
    assert_eq!(super::show(&tree), "<a><\\x00><\\xff\\xfe>;");
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let (_, tree, errors) = read(b"\xef\xbb\xbfa;");
    assert_eq!(super::show(&tree), "<a>;");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("[warn] the file begins with a byte order mark"), "{errors:?}");
}
