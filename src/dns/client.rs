//! Who asks: the resolvers of a thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use tokio::sync::{Semaphore, watch};

use super::cache::{Asked, Cache, Key, Known};
use super::message::Kind;
use super::query::{Meaning, Round};
use super::{Addresses, Code, Failure, exchange};
use crate::log::Logs;
use crate::plan::{self, Plan, ResolverId};
use crate::rt::clock;

/// Look-ups of one resolver that are on the wire at once; others wait for their turn, no longer than they may.
const AT_ONCE: usize = 256;
/// How many aliases lead to a name's addresses at most.
const ALIASES: u32 = 50;
/// Seconds for which a failure is not worth another try.
const FAILED: i64 = 10;

/// The resolvers of a plan, for one thread.
#[derive(Debug)]
pub struct Client {
    resolvers: Box<[Rc<Resolver>]>,
}

/// One `resolver` directive.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) plan: plan::Resolver,
    pub(super) logs: Arc<Logs>,
    cache: RefCell<Cache>,
    pending: RefCell<HashMap<Key, Pending>>,
    /// The name server that is asked next.
    turn: Cell<usize>,
    seats: Semaphore,
}

/// Those who wait for an answer hold receivers.
type Pending = Rc<watch::Sender<Option<Result<Known, Code>>>>;

/// The end of a look-up under way, however it comes.
struct UnderWay {
    resolver: Rc<Resolver>,
    key: Key,
    sender: Pending,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.resolver.pending.borrow_mut().remove(&self.key);
    }
}

pub(super) fn now() -> i64 {
    i64::try_from(clock::unix_secs()).unwrap_or(i64::MAX)
}

impl Client {
    pub fn new(plan: &Plan, logs: &Arc<Logs>) -> Self {
        let resolver = |plan: &plan::Resolver| {
            Rc::new(Resolver {
                turn: Cell::new(0),
                plan: plan.clone(),
                logs: logs.clone(),
                cache: RefCell::default(),
                pending: RefCell::default(),
                seats: Semaphore::new(AT_ONCE),
            })
        };
        Self { resolvers: plan.resolvers.iter().map(resolver).collect() }
    }

    pub(super) fn resolver(&self, id: ResolverId) -> Option<&Rc<Resolver>> {
        self.resolvers.get(id.ix())
    }

    /// The addresses of `name`, from the cache or from the name servers; `timeout` zero: no limit.
    pub async fn addresses(
        &self,
        id: ResolverId,
        name: &[u8],
        timeout: Duration,
    ) -> Result<Addresses, Failure> {
        let Some(resolver) = self.resolver(id) else {
            return Err(Failure { code: Code::NO_NAME, valid: 0, failed: Vec::new() });
        };
        resolver.addresses(name, timeout).await.map_err(|code| resolver.failure(code))
    }
}

impl Resolver {
    pub(super) fn failure(&self, code: Code) -> Failure {
        Failure { code, valid: now().saturating_add(self.valid().unwrap_or(FAILED)), failed: Vec::new() }
    }

    /// `valid=`
    fn valid(&self) -> Option<i64> {
        self.plan.valid.map(|v| i64::try_from(v.as_secs()).unwrap_or(i64::MAX))
    }

    /// The index of the name server whose turn it is.
    pub(super) fn next_server(&self) -> usize {
        let at = self.turn.get();
        self.turn.set((at + 1) % self.plan.servers.len().max(1));
        at
    }

    pub(super) async fn addresses(
        self: &Rc<Self>,
        name: &[u8],
        timeout: Duration,
    ) -> Result<Addresses, Code> {
        let (known, cached) = self.ask(Asked::Addresses, name, timeout).await?;
        let Meaning::Addresses { v4, v6 } = &*known.meaning else { return Err(Code::NO_NAME) };
        let list = if cached { spread(v4, v6, &mut rand::rng()) } else { [&v4[..], v6].concat() };
        Ok(Addresses { list, valid: known.valid })
    }

    /// What `name` and its aliases come to, and whether that was known.
    pub(super) async fn ask(
        self: &Rc<Self>,
        asked: Asked,
        name: &[u8],
        timeout: Duration,
    ) -> Result<(Known, bool), Code> {
        let name = name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
        let found = self.follow((asked, name.into()));
        if timeout.is_zero() {
            return found.await;
        }
        tokio::time::timeout(timeout, found).await.unwrap_or(Err(Code::TimedOut))
    }

    async fn follow(self: &Rc<Self>, mut key: Key) -> Result<(Known, bool), Code> {
        let mut all_cached = true;
        for _ in 0..=ALIASES {
            let (known, cached) = match self.known(&key) {
                Some(known) => (known, true),
                None => (self.wait(&key).await?, false),
            };
            all_cached &= cached;
            match &*known.meaning {
                Meaning::Alias(to) => key.1 = to.clone(),
                _ => return Ok((known, all_cached)),
            }
        }
        Err(Code::NO_NAME)
    }

    fn known(&self, key: &Key) -> Option<Known> {
        self.cache.borrow_mut().get(key, now())
    }

    /// Waits for the look-up that is under way, or begins one.
    async fn wait(self: &Rc<Self>, key: &Key) -> Result<Known, Code> {
        let under_way = self.pending.borrow().get(key).map(|p| p.subscribe());
        let mut receiver = match under_way {
            Some(receiver) => receiver,
            None => self.begin(key)?,
        };
        let answer = receiver.wait_for(Option::is_some).await;
        answer.ok().and_then(|a| a.clone()).unwrap_or(Err(Code::TimedOut))
    }

    fn begin(self: &Rc<Self>, key: &Key) -> Result<watch::Receiver<Option<Result<Known, Code>>>, Code> {
        let kinds: &[Kind] = match key.0 {
            Asked::Service => &[Kind::Srv],
            Asked::Addresses if !self.plan.ipv6 => &[Kind::A],
            Asked::Addresses if !self.plan.ipv4 => &[Kind::Aaaa],
            Asked::Addresses => &[Kind::A, Kind::Aaaa],
        };
        let round = Round::new(&key.1, kinds, || rand::rng().random()).ok_or(Code::NO_NAME)?;
        let (sender, receiver) = watch::channel(None);
        let under_way = UnderWay { resolver: self.clone(), key: key.clone(), sender: Rc::new(sender) };
        self.pending.borrow_mut().insert(key.clone(), under_way.sender.clone());
        tokio::task::spawn_local(look_up(under_way, round));
        Ok(receiver)
    }
}

async fn look_up(this: UnderWay, round: Round) {
    let resolver = &this.resolver;
    let wanted = || this.sender.receiver_count() > 0;
    let Ok(_seat) = resolver.seats.acquire().await else { return };
    if !wanted() {
        return;
    }
    let Some(result) = exchange::run(resolver, round, wanted).await else { return };
    let answer = result.map(|(meaning, ttl)| {
        let valid = now().saturating_add(resolver.valid().unwrap_or(i64::from(ttl)));
        Known { meaning: Rc::new(meaning), valid }
    });
    if let Ok(known) = &answer {
        resolver.cache.borrow_mut().put(this.key.clone(), known.clone(), now());
    }
    // Who asks from here on finds it in the cache, or asks anew.
    resolver.pending.borrow_mut().remove(&this.key);
    this.sender.send_replace(Some(answer));
}

/// nginx's order of addresses that it knew already: each family begins anywhere, and so does the whole.
fn spread(v4: &[IpAddr], v6: &[IpAddr], random: &mut impl rand::Rng) -> Vec<IpAddr> {
    let mut list = Vec::with_capacity(v4.len() + v6.len());
    for family in [v4, v6] {
        if !family.is_empty() {
            let (end, start) = family.split_at(random.random_range(0..family.len()));
            list.extend(start.iter().chain(end));
        }
    }
    if !list.is_empty() {
        let by = random.random_range(0..list.len());
        list.rotate_right(by);
    }
    list
}
