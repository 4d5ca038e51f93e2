//! Results that are built on results: what an ending one takes along.

use crate::common::{Bench, key};
use forebay::{Code, Input};

#[test]
fn c1_a_changed_input_ends_what_is_built_on_its_result() {
    let bench = Bench::new();
    bench.write("a", "1");
    bench.keep("read", &["a"], &[]);
    bench.keep("grep", &[], &["read"]);
    bench.keep("answer", &[], &["grep"]);
    assert_eq!(bench.check("answer"), "hit");
    bench.write("a", "2");
    // The nearest look is enough, from any end.
    assert_eq!(bench.check("answer"), "invalidated");
    assert_eq!([bench.look("read"), bench.look("grep"), bench.look("answer")], ["miss", "miss", "miss"]);
}

#[test]
fn c2_what_is_gone_stays_gone() {
    let bench = Bench::new();
    bench.write("a", "1");
    bench.keep("read", &["a"], &[]);
    bench.write("a", "2");
    assert_eq!(bench.check("read"), "invalidated");
    bench.write("a", "1");
    assert_eq!([bench.check("read"), bench.look("read")], ["miss", "miss"]);
}

#[test]
fn c3_mark_dirty_reaches_dependents() {
    let bench = Bench::new();
    bench.keep("a", &[], &[]);
    bench.keep("b", &[], &["a"]);
    bench.keep("c", &[], &["b"]);
    bench.keep("other", &[], &[]);
    assert!(bench.live.mark_dirty(&key("a")).unwrap());
    assert!(!bench.live.mark_dirty(&key("a")).unwrap());
    assert_eq!(
        [bench.look("a"), bench.look("b"), bench.look("c"), bench.look("other")],
        ["miss", "miss", "miss", "hit"]
    );
    assert_eq!(bench.live.entry_count().unwrap(), 1);
}

#[test]
fn c4_other_bytes_end_dependents_and_the_same_bytes_do_not() {
    let bench = Bench::new();
    bench.keep_as("a", "one", &[], &[]);
    bench.keep("b", &[], &["a"]);
    bench.keep_as("a", "one", &[], &[]);
    assert_eq!(bench.look("b"), "hit");
    bench.keep_as("a", "two", &[], &[]);
    assert_eq!([bench.look("a"), bench.look("b")], ["hit", "miss"]);
}

#[test]
fn c5_a_result_of_what_does_not_hold_is_refused() {
    let bench = Bench::new();
    bench.write("a", "1");
    bench.keep("read", &["a"], &[]);
    let ticket = bench.live.begin(&key("grep"), &[], &[key("read")]).unwrap();
    bench.live.invalidate_path("a").unwrap();
    assert_eq!(ticket.commit("x", "grep").unwrap_err().code(), Code::Superseded);
    assert_eq!(bench.live.begin(&key("grep"), &[], &[key("read")]).unwrap_err().code(), Code::Superseded);
    assert_eq!(bench.look("grep"), "miss");
    let ticket = {
        bench.keep("read", &["a"], &[]);
        bench.live.begin(&key("grep"), &[], &[key("read")]).unwrap()
    };
    bench.keep_as("read", "other", &["a"], &[]);
    assert_eq!(ticket.commit("x", "grep").unwrap_err().code(), Code::Superseded);
}

#[test]
fn c9_other_handles_see_all_of_it() {
    let bench = Bench::new();
    let other = bench.other();
    bench.write("a", "1");
    bench.keep("read", &["a"], &[]);
    assert!(other.lookup(&key("read")).unwrap().hit().is_some());
    assert_eq!(other.invalidate_path(bench.path("a")).unwrap(), 1);
    assert_eq!(bench.look("read"), "miss");
}

#[test]
fn c14_long_chains_and_wide_fans_end_in_one_step() {
    let bench = Bench::new();
    bench.write("a", "1");
    bench.keep("0", &["a"], &[]);
    for at in 1..600 {
        bench.keep(&at.to_string(), &[], &[&(at - 1).to_string()]);
    }
    assert_eq!(bench.look("599"), "hit");
    assert_eq!(bench.live.invalidate_path("a").unwrap(), 1, "the direct ones are counted");
    assert_eq!((bench.look("599"), bench.live.entry_count().unwrap()), ("miss", 0));
    bench.keep("hub", &[], &[]);
    for at in 0..600 {
        bench.keep(&format!("fan {at}"), &[], &["hub"]);
    }
    assert_eq!(bench.live.invalidate_upstream(&key("hub")).unwrap(), 600);
    assert_eq!((bench.look("hub"), bench.live.entry_count().unwrap()), ("hit", 1));
}

#[test]
fn c17_in_a_cycle_none_survives() {
    let bench = Bench::new();
    bench.write("a", "1");
    bench.keep("x", &["a"], &[]);
    bench.keep("y", &[], &["x"]);
    // Persisted anew with the same bytes, now built on its own dependent.
    bench.keep("x", &["a"], &["y"]);
    assert_eq!([bench.check("x"), bench.check("y")], ["hit", "hit"]);
    assert_eq!(bench.live.invalidate_upstream(&key("y")).unwrap(), 2);
    assert_eq!([bench.look("x"), bench.look("y")], ["miss", "miss"]);
    bench.keep("self", &[], &[]);
    bench.keep("self", &[], &["self"]);
    assert_eq!(bench.look("self"), "hit");
    assert_eq!(bench.live.invalidate_upstream(&key("self")).unwrap(), 1);
}

#[test]
fn a_tag_ends_what_has_it() {
    let bench = Bench::new();
    bench.keep("a", &["tag:schema"], &[]);
    bench.keep("b", &[], &["a"]);
    bench.keep("c", &["tag:other"], &[]);
    assert_eq!(bench.live.invalidate_tag("schema").unwrap(), 1);
    assert_eq!([bench.look("a"), bench.look("b"), bench.look("c")], ["miss", "miss", "hit"]);
    let ticket = bench.live.begin(&key("d"), &[Input::Tag("schema".into())], &[]).unwrap();
    bench.live.invalidate_tag("schema").unwrap();
    assert_eq!(ticket.commit("x", "test").unwrap_err().code(), Code::Superseded);
}

#[test]
fn why_names_what_decided() {
    let bench = Bench::new();
    bench.write("a", "1");
    bench.keep("read", &["a"], &[]);
    bench.keep("grep", &["tag:t"], &["read"]);
    assert!(bench.live.why(&key("grep")).unwrap().holds);
    bench.write("a", "2");
    let why = bench.live.why(&key("grep")).unwrap();
    assert_eq!(
        (why.holds, why.input, why.upstream),
        (false, Some(Input::File("a".into())), Some(key("read")))
    );
    assert_eq!(bench.look("grep"), "hit", "asking why removes nothing");
    assert_eq!(bench.check("grep"), "invalidated");
    assert!(bench.live.why(&key("grep")).unwrap().text.contains("no such result"));
}
