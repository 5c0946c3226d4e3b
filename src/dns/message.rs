//! DNS messages (RFC 1035), as far as a look-up needs them: a query written, a response read and judged as nginx does.

use std::fmt;
use std::net::IpAddr;

use domain::base::iana::{Class, Rtype};
use domain::base::message_builder::MessageBuilder;
use domain::base::name::NameBuilder;
use domain::base::wire::ParseError;
use domain::base::{Message, ParsedName, ParsedRecord, Question};
use domain::dep::octseq::Parser;
use domain::rdata::{A, Aaaa, Cname, Srv};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Aaaa,
    Srv,
}

impl Kind {
    fn rtype(self) -> Rtype {
        match self {
            Self::A => Rtype::A,
            Self::Aaaa => Rtype::AAAA,
            Self::Srv => Rtype::SRV,
        }
    }
}

/// The bytes of a recursive query; `None`: no name can be like that.
pub(super) fn query(id: u16, name: &[u8], kind: Kind) -> Option<Vec<u8>> {
    let mut builder = NameBuilder::new_vec();
    for label in name.split(|b| *b == b'.') {
        if label.is_empty() {
            return None;
        }
        builder.append_label(label).ok()?;
    }
    let name = builder.into_name().ok()?;
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(id);
    message.header_mut().set_rd(true);
    let mut question = message.question();
    question.push((name, kind.rtype())).ok()?;
    Some(question.finish())
}

/// A response to one question, before it is known whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: u16,
    pub(super) code: u8,
    pub(super) truncated: bool,
    /// Lower case, without the last dot.
    pub(super) name: Box<[u8]>,
    pub(super) kind: Kind,
    answers: u16,
    /// Where the answers begin.
    at: usize,
}

/// The records of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) count: u16,
    /// The least of all; `None`: there is no record.
    pub(super) ttl: Option<u32>,
    pub(super) addrs: Vec<IpAddr>,
    pub(super) services: Vec<Server>,
    /// The last alias.
    pub(super) cname: Option<Box<[u8]>>,
    /// Types that were not asked for, passed over.
    pub(super) odd: Vec<u16>,
}

/// An SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) priority: u16,
    /// At least 1.
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) name: Box<[u8]>,
}

/// Why a response is passed over; the text is nginx's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bad {
    Short,
    Invalid {
        tcp: bool,
        id: u16,
        flags: u16,
    },
    /// The name server did not understand (1), or answers with a code that says nothing (above 5).
    Code {
        id: u16,
        code: u8,
    },
    Questions,
    Pointer,
    NoName,
    Name,
    Class(u16),
    Type(u16),
    RecordClass(u16),
    Record(&'static str),
    Unexpected(&'static str),
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("short DNS response"),
            Self::Invalid { tcp, id, flags } => {
                let over = if *tcp { "TCP" } else { "UDP" };
                write!(f, "invalid {over} DNS response {id} fl:{flags:04X}")
            }
            Self::Code { id, code } => {
                write!(f, "DNS error ({}), query id:{id}", super::Code::Rcode(*code))
            }
            Self::Questions => f.write_str("invalid number of questions in DNS response"),
            Self::Pointer => f.write_str("unexpected compression pointer in DNS response"),
            Self::NoName => f.write_str("zero-length domain name in DNS response"),
            Self::Name => f.write_str("invalid name in DNS response"),
            Self::Class(n) => write!(f, "unknown query class {n} in DNS response"),
            Self::Type(n) => write!(f, "unknown query type {n} in DNS response"),
            Self::RecordClass(n) => write!(f, "unexpected RR class {n} in DNS response"),
            Self::Record(what) => write!(f, "invalid {what} record in DNS response"),
            Self::Unexpected(what) => write!(f, "unexpected {what} record in DNS response"),
        }
    }
}

impl From<ParseError> for Bad {
    fn from(e: ParseError) -> Self {
        match e {
            ParseError::ShortInput => Self::Short,
            ParseError::Form(_) => Self::Name,
        }
    }
}

/// QR set, opcode 0, and the bits that a plain response leaves empty.
const MEANING: u16 = 0xf870;
const RESPONSE: u16 = 0x8000;
const FORMAT_ERROR: u8 = 1;
const REFUSED: u8 = 5;

/// Reads what comes before the records.
pub(super) fn head(bytes: &[u8], tcp: bool) -> Result<Head, Bad> {
    let message = Message::from_slice(bytes).map_err(|_| Bad::Short)?;
    let (header, counts) = (message.header(), message.header_counts());
    let (id, truncated) = (header.id(), header.tc());
    let flags = bytes.get(2..4).map_or(0, |f| u16::from(f[0]) << 8 | u16::from(f[1]));
    if flags & MEANING != RESPONSE || (truncated && tcp) {
        return Err(Bad::Invalid { tcp, id, flags });
    }
    let code = header.rcode().to_int();
    if code == FORMAT_ERROR || code > REFUSED {
        return Err(Bad::Code { id, code });
    }
    if counts.qdcount() != 1 {
        return Err(Bad::Questions);
    }
    let mut parser = Parser::from_ref(bytes);
    parser.advance(12).map_err(|_| Bad::Short)?;
    let question = Question::<ParsedName<&[u8]>>::parse(&mut parser)?;
    if question.qname().is_compressed() {
        return Err(Bad::Pointer);
    }
    if question.qname().is_root() {
        return Err(Bad::NoName);
    }
    if question.qclass() != Class::IN {
        return Err(Bad::Class(question.qclass().to_int()));
    }
    let kind = match question.qtype() {
        Rtype::A => Kind::A,
        Rtype::AAAA => Kind::Aaaa,
        Rtype::SRV => Kind::Srv,
        other => return Err(Bad::Type(other.to_int())),
    };
    let name = text(question.qname());
    Ok(Head { id, code, truncated, name, kind, answers: counts.ancount(), at: parser.pos() })
}

/// Reads the records; what stands behind the answers is nobody's business.
pub(super) fn records(bytes: &[u8], head: &Head) -> Result<Records, Bad> {
    let mut records = Records { count: head.answers, ..Records::default() };
    let mut parser = Parser::from_ref(bytes);
    parser.advance(head.at).map_err(|_| Bad::Short)?;
    for _ in 0..head.answers {
        let record = ParsedRecord::parse(&mut parser)?;
        if record.class() != Class::IN {
            return Err(Bad::RecordClass(record.class().to_int()));
        }
        // A TTL is 31 bits (RFC 2181 section 8): one with the highest bit set is 0.
        let ttl = i32::try_from(record.ttl().as_secs()).map_or(0, i32::unsigned_abs);
        records.ttl = Some(records.ttl.map_or(ttl, |least| least.min(ttl)));
        match (record.rtype(), head.kind) {
            (Rtype::A, Kind::A) => {
                let addr = record.to_record::<A>().map_err(|_| Bad::Record("A"))?;
                records.addrs.extend(addr.map(|r| IpAddr::V4(r.data().addr())));
            }
            (Rtype::AAAA, Kind::Aaaa) => {
                let addr = record.to_record::<Aaaa>().map_err(|_| Bad::Record("AAAA"))?;
                records.addrs.extend(addr.map(|r| IpAddr::V6(r.data().addr())));
            }
            (Rtype::A, Kind::Aaaa) => return Err(Bad::Unexpected("A")),
            (Rtype::AAAA, Kind::A) => return Err(Bad::Unexpected("AAAA")),
            (Rtype::SRV, Kind::Srv) => {
                let server = record.to_record::<Srv<ParsedName<&[u8]>>>()?;
                records.services.extend(server.map(|r| Server {
                    priority: r.data().priority(),
                    weight: r.data().weight().max(1),
                    port: r.data().port(),
                    name: text(r.data().target()),
                }));
            }
            (Rtype::CNAME, _) => {
                let alias = record.to_record::<Cname<ParsedName<&[u8]>>>()?;
                records.cname = alias.map(|r| text(r.data().cname())).or(records.cname);
            }
            (Rtype::DNAME, _) => {}
            (other, _) => records.odd.push(other.to_int()),
        }
    }
    Ok(records)
}

/// A name in lower case, its labels joined by dots.
fn text(name: &ParsedName<&[u8]>) -> Box<[u8]> {
    let mut out = Vec::new();
    for label in name.iter().filter(|l| !l.is_root()) {
        if !out.is_empty() {
            out.push(b'.');
        }
        out.extend(label.as_slice().iter().map(u8::to_ascii_lowercase));
    }
    out.into()
}
