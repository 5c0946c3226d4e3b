use proptest::prelude::*;

use super::read;
use crate::syntax::Body;

/// Every span of the tree lies in its parent's and in the order of the text.
fn check(text: &[u8]) {
    let (_, tree, _) = read(text);
    let mut last = 0;
    for node in &tree.nodes {
        assert!(node.span.start >= last && node.span.end as usize <= text.len());
        last = node.span.start;
        for word in std::iter::once(&node.name).chain(&node.args) {
            assert!(node.span.start <= word.span.start && word.span.end <= node.span.end);
            assert!(word.value.len() <= (word.span.end - word.span.start) as usize);
        }
        if let Body::Block { open, close, children } = &node.body {
            assert!(open < close || *close as usize == text.len());
            for &child in children {
                let child = tree.node(child);
                assert!(child.span.start > *open && child.span.end <= (*close).max(child.span.end));
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_print_back(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&text);
    }

    #[test]
    fn texts_near_the_language_print_back(text in "[ab \\n;{}\"'\\\\#$)]{0,80}") {
        check(text.as_bytes());
    }

    #[test]
    fn texts_near_lua_print_back(text in "(x_by_lua_block \\{)?[a \\n{}\"'\\\\\\[\\]=-]{0,60}") {
        check(text.as_bytes());
    }

    #[test]
    fn words_that_are_quoted_come_back(words in proptest::collection::vec("[ -~\\n\\t]{0,12}", 1..6)) {
        let mut text = String::from("name");
        for word in &words {
            let inside = word.replace('\\', "\\\\").replace('"', "\\\"");
            text += &format!(" \"{inside}\"");
        }
        text.push(';');
        let (_, tree, errors) = read(text.as_bytes());
        prop_assert!(errors.is_empty(), "{text:?} {errors:?}");
        let found: Vec<String> = tree.nodes[0].args.iter().map(|w| String::from_utf8_lossy(&w.value).into_owned()).collect();
        prop_assert_eq!(found, words);
    }
}
