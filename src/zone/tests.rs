use super::*;
use crate::plan::Plan;

const NOW: u64 = 1_795_252_600_000;

fn slots() -> Slots {
    Slots::open(&Plan::default(), None).unwrap()
}

#[test]
fn a_peer_is_found_again_by_its_names() {
    let slots = slots();
    slots.get("u", "a").set_operator(Operator::Draining { until: None }, 0, NOW);
    assert_eq!(slots.get("u", "a").standing(NOW), Standing::Draining);
    for (upstream, peer) in [("u", "b"), ("v", "a"), ("ua", "")] {
        assert_eq!(slots.get(upstream, peer).standing(NOW), Standing::Open, "{upstream} {peer}");
    }
    assert!(slots.troubled());
}

#[test]
fn the_deadline_takes_a_peer_down_and_an_order_brings_it_back() {
    let slots = slots();
    let slot = slots.get("u", "a");
    slot.set_operator(Operator::Draining { until: Some(NOW + 500) }, 7, NOW);
    assert_eq!(slot.standing(NOW + 499), Standing::Draining);
    assert_eq!(slot.operator(NOW + 499), (Operator::Draining { until: Some(NOW + 500) }, NOW));
    assert_eq!(slot.standing(NOW + 500), Standing::Down, "also before anybody has noticed");
    slot.expire(NOW + 499);
    assert_eq!(slot.standing(NOW), Standing::Draining);
    slot.expire(NOW + 500);
    assert!(slot.take_expired(), "told once");
    slot.expire(NOW + 500);
    assert!(!slot.take_expired(), "and not again");
    assert_eq!((slot.operator(NOW), slot.asked_by()), ((Operator::Down, NOW), 7));
    slot.set_operator(Operator::Active, 7, NOW + 900);
    assert_eq!(slot.standing(NOW + 10_000), Standing::Open);
    slots.settle();
    assert!(!slots.troubled(), "nothing is left to look at");
}

#[test]
fn operator_and_health_check_each_have_their_word() {
    let slot = slots().get("u", "a");
    assert!(slot.set_health(Health::Up, NOW));
    assert!(!slot.set_health(Health::Up, NOW + 1), "that is no change");
    assert_eq!(slot.standing(NOW), Standing::Open);
    slot.set_operator(Operator::Draining { until: None }, 0, NOW);
    slot.set_health(Health::Down, NOW + 2);
    slot.note_check(0, 3, 503, NOW + 2);
    assert_eq!(slot.standing(NOW), Standing::Unhealthy);
    slot.set_operator(Operator::Active, 0, NOW);
    assert_eq!(slot.standing(NOW), Standing::Unhealthy, "an undrained peer is not a well one");
    let probe =
        Probe { health: Health::Down, rise: 0, fall: 3, checked: NOW + 2, changed: NOW + 2, result: 503 };
    assert_eq!(slot.probe(), probe);
    slot.set_health(Health::Draining, NOW + 3);
    assert_eq!(slot.standing(NOW), Standing::Draining);
    slot.set_health(Health::Up, NOW + 3);
    assert_eq!(slot.standing(NOW), Standing::Open);
}

#[test]
fn one_process_at_a_time_checks() {
    let slot = slots().get("u", "a");
    assert!(slot.claim(100, NOW, NOW + 1000));
    assert!(!slot.claim(200, NOW + 500, NOW + 1500));
    assert!(slot.claim(100, NOW + 500, NOW + 1500), "who has it keeps it");
    assert!(slot.claim(200, NOW + 1600, NOW + 2600), "who is gone has lost it");
    slot.release(100);
    assert!(!slot.claim(100, NOW + 1700, NOW + 2700));
    slot.release(200);
    assert!(slot.claim(100, NOW + 1700, NOW + 2700));
}

#[test]
fn sessions_of_a_draining_peer_are_counted_and_leave() {
    let slot = slots().get("u", "a");
    assert_eq!(slot.sessions(60_000, NOW), None, "nobody counts while it is in service");
    slot.set_operator(Operator::Draining { until: None }, 0, NOW);
    for session in [1, 2, 3, 1, 2] {
        slot.seen(session, NOW);
    }
    assert_eq!((slot.sessions(60_000, NOW), slot.served()), (Some(3), 5));
    slot.seen(3, NOW + 50_000);
    assert_eq!(slot.sessions(60_000, NOW + 70_000), Some(1));
    for session in 0..2000 {
        slot.seen(session, NOW + 80_000);
    }
    let many = slot.sessions(1000, NOW + 80_000).unwrap();
    assert!((1800..2200).contains(&many), "{many}");
    for session in 0..100_000 {
        slot.seen(session, NOW + 90_000);
    }
    let more = slot.sessions(1000, NOW + 90_000).unwrap();
    assert!((80_000..120_000).contains(&more), "{more}");
    slot.set_operator(Operator::Active, 0, NOW + 90_000);
    assert_eq!(slot.sessions(1000, NOW + 90_000), None);
}

#[test]
fn workers_tell_each_other_of_their_connections() {
    let slots = slots();
    let slot = slots.get("u", "a");
    for (pid, count) in [(1, 5), (2, 7), (1, 6)] {
        slot.note_connections(pid, count);
    }
    assert_eq!([1, 2, 3].map(|pid| slot.connections_elsewhere(pid)), [7, 6, 13]);
    slot.claim(2, NOW, NOW + 60_000);
    slots.bury(2);
    assert_eq!(slot.connections_elsewhere(1), 0);
    assert!(slot.claim(1, NOW, NOW + 60_000), "the dead does not check peers");
    slot.note_connections(1, 0);
    assert_eq!(slot.connections_elsewhere(9), 0);
    for pid in 1..10 {
        slot.note_connections(pid, 1);
    }
    assert_eq!(slot.connections_elsewhere(0), 4, "as many as there is room for");
}

#[test]
fn more_peers_may_drain_than_can_be_counted() {
    let slots = slots();
    let drain = |i: u32| {
        let slot = slots.get("u", &i.to_string());
        slot.set_operator(Operator::Draining { until: None }, 0, NOW);
        slot
    };
    let all: Vec<Slot> = (0..65).map(drain).collect();
    assert_eq!(all[63].sessions(1, NOW), Some(0));
    assert_eq!(all[64].sessions(1, NOW), None);
    all[64].seen(1, NOW);
    assert_eq!(all[64].standing(NOW), Standing::Draining);
    all[0].set_operator(Operator::Active, 0, NOW);
    assert_eq!(drain(65).sessions(1, NOW), Some(0), "a place is free again");
}

#[test]
fn peers_that_come_while_it_runs_have_room_of_their_own() {
    let slots = slots();
    let at = |i: u32| slots.get("u", &i.to_string());
    for i in 0..1024 {
        at(i);
    }
    at(3).set_operator(Operator::Down, 0, NOW);
    slots.retire("u", "5", NOW);
    let new = at(2000);
    assert_eq!(new.standing(NOW), Standing::Open);
    let beyond = at(2001);
    beyond.set_operator(Operator::Down, 0, NOW);
    assert_eq!(at(2001).standing(NOW), Standing::Down, "known in this process at least");
    at(3).set_operator(Operator::Active, 0, NOW);
    slots.settle();
    assert!(slots.troubled() && at(2001).standing(NOW) == Standing::Down);
}

/// A plan with one upstream, `u`, of these peers.
fn plan(peers: &[&str]) -> Plan {
    let servers: String = peers.iter().map(|p| format!("server {p};")).collect();
    let text = format!("events {{}} http {{ upstream u {{ {servers} }} }}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.conf");
    std::fs::write(&file, text).unwrap();
    crate::compile::load(&file, dir.path(), None).plan.unwrap()
}

#[test]
fn a_new_plan_finds_its_peers_again_and_forgets_those_that_are_long_gone() {
    let (a, b) = ("127.0.0.1:1", "127.0.0.1:2");
    let drained = |slots: &Slots, peer: &str| slots.get("u", peer).standing(NOW) == Standing::Draining;
    let first = Slots::open(&plan(&[a, b]), None).unwrap();
    for peer in [a, b] {
        first.get("u", peer).set_operator(Operator::Draining { until: None }, 0, NOW);
    }
    let second = Slots::open(&plan(&[a]), Some(&first)).unwrap();
    assert!(drained(&second, a) && drained(&first, b), "an old worker still knows it");
    second.get("u", a).set_health(Health::Down, NOW);
    assert_eq!(first.get("u", a).standing(NOW), Standing::Unhealthy, "it is the same slot");
    let back = Slots::open(&plan(&[a, b]), Some(&second)).unwrap();
    assert!(drained(&back, b), "a reload without it may be a mistake that the next one mends");
    let mut last = back;
    for _ in 0..2 {
        last = Slots::open(&plan(&[a]), Some(&last)).unwrap();
    }
    let last = Slots::open(&plan(&[a, b]), Some(&last)).unwrap();
    assert!(!drained(&last, b), "after that it is another server");
    assert_eq!(last.get("u", a).standing(NOW), Standing::Unhealthy);
}

#[test]
fn many_plans_need_no_more_memory_than_the_largest_two() {
    let mut slots = Slots::open(&plan(&["127.0.0.1:1"]), None).unwrap();
    for round in 0..40 {
        let peers: Vec<String> = (0..100).map(|i| format!("127.{round}.0.{i}:80")).collect();
        let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
        slots = Slots::open(&plan(&peers), Some(&slots)).unwrap();
        let slot = slots.get("u", peers[round]);
        assert_eq!(slot.standing(NOW), Standing::Open, "round {round}");
        slot.set_operator(Operator::Down, 0, NOW);
    }
    assert!(slots.chunks() <= 2, "{} chunks", slots.chunks());
}
