use super::{read, show, shown};
use crate::syntax::Body;

#[test]
fn lua_bodies_end_at_their_own_brace() {
    for body in [
        "",
        " return 1 ",
        " local t = { a = {} } ",
        " local s = \"}\" ",
        " local s = '}\\'}' ",
        " -- }\n ",
        " --[[ } ]] ",
        " --[==[ } ]] } ]==] ",
        " local s = [[ } ' \" ]] ",
        " local s = [=[ ]] } ]=] ",
        " a = b - c; d = t[t[1]] ",
        " local s = \"#;{\" -- it's\n",
        " x = 'a\\\n}' ",
    ] {
        let text = format!("content_by_lua_block {{{body}}} a;");
        let (map, tree, errors) = read(text.as_bytes());
        assert!(errors.is_empty(), "{text:?}: {errors:?}");
        assert_eq!(show(&tree), "<content_by_lua_block>{raw}<a>;", "{text:?}");
        let Body::Raw { text: span, .. } = tree.node(tree.roots[0]).body else { panic!("a raw body") };
        assert_eq!(map.text(span), body.as_bytes());
    }
}

#[test]
fn only_lua_blocks_are_foreign() {
    assert_eq!(shown("set_by_lua_block $a { '{' }"), "<set_by_lua_block><$a>{raw}");
    assert_eq!(shown("content_by_lua 'return 1';"), "<content_by_lua><return 1>;");
    assert_eq!(shown("some_block { a; }"), "<some_block>{<a>;}");
}

#[test]
fn a_lua_body_without_an_end() {
    for body in ["", " [[ } ", " --[[ }", " { }", " \"}\n", " '\\"] {
        let text = format!("http {{\ncontent_by_lua_block {{{body}");
        let (_, tree, errors) = read(text.as_bytes());
        let line = 2 + body.matches('\n').count();
        assert_eq!(errors, [format!("unexpected end of file, expecting \"}}\" in f:{line}")], "{text:?}");
        assert_eq!(show(&tree), "<http>{<content_by_lua_block>{raw}}");
    }
}
