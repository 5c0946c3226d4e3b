//! The answer's head while it is being made.

/// A field that will be sent, in order, after the ones that [`super::respond`] writes by itself.
#[derive(Debug, Clone, Copy)]
struct OutField {
    name: (u32, u32),
    value: (u32, u32),
    shown: bool,
}

/// Names a field of an [`OutHead`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldIx(u32);

/// Status, the fields that have a fixed place, and the other ones in an arena. Cleared, never dropped.
#[derive(Debug, Default)]
pub struct OutHead {
    pub status: u16,
    /// The status line a peer sent (`404 Nope`), without the version; empty: the one of `status`.
    pub status_line: Vec<u8>,
    /// Empty: no `Content-Type`.
    pub content_type: Vec<u8>,
    /// `None`: unknown (chunked, or until close).
    pub content_length: Option<u64>,
    /// `Last-Modified` that is not among the fields.
    pub last_modified: Option<i64>,
    /// The fields hold a `Server` (or `Date`) of their own.
    pub has_server: bool,
    pub has_date: bool,
    /// A redirect of our own: made absolute, and then written before `Connection`, when `absolute_redirect` says so.
    pub location: Option<FieldIx>,
    pub etag: Option<FieldIx>,
    pub accept_ranges: Option<FieldIx>,
    /// What a peer or a handler says that the body is; not one that `add_header` adds.
    pub content_encoding: Option<FieldIx>,
    /// `Vary: Accept-Encoding` of our own (`gzip_vary`), written before the fields.
    pub vary: bool,
    /// `Last-Modified` among the fields (a peer's).
    pub last_modified_field: Option<FieldIx>,
    fields: Vec<OutField>,
    arena: Vec<u8>,
}

impl OutHead {
    /// As if nothing had been said yet.
    pub fn clear(&mut self) {
        self.status = 0;
        self.status_line.clear();
        self.content_type.clear();
        self.content_length = None;
        self.last_modified = None;
        self.has_server = false;
        self.has_date = false;
        self.location = None;
        self.etag = None;
        self.accept_ranges = None;
        self.content_encoding = None;
        self.vary = false;
        self.last_modified_field = None;
        self.fields.clear();
        self.arena.clear();
    }

    /// Appends a field.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> FieldIx {
        self.push_with(name, |out| out.extend_from_slice(value))
    }

    /// Appends a field whose value `write` appends to the buffer that it is given.
    pub fn push_with(&mut self, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) -> FieldIx {
        let at = position(self.arena.len());
        self.arena.extend_from_slice(name);
        let middle = position(self.arena.len());
        write(&mut self.arena);
        let end = position(self.arena.len());
        self.fields.push(OutField { name: (at, middle), value: (middle, end), shown: true });
        FieldIx(position(self.fields.len() - 1))
    }

    /// Appends a redirect of our own.
    pub fn set_location(&mut self, value: &[u8]) {
        self.hide_opt(self.location);
        self.location = Some(self.push(b"Location", value));
    }

    /// The value of a field, shown or not.
    pub fn value(&self, field: FieldIx) -> &[u8] {
        self.fields.get(field.0 as usize).map_or(b"", |f| self.bytes(f.value))
    }

    /// Gives a field another value.
    pub fn set_value(&mut self, field: FieldIx, value: &[u8]) {
        let at = position(self.arena.len());
        self.arena.extend_from_slice(value);
        let end = position(self.arena.len());
        if let Some(f) = self.fields.get_mut(field.0 as usize) {
            f.value = (at, end);
        }
    }

    /// Takes a field out of what will be sent.
    pub fn hide(&mut self, field: FieldIx) {
        if let Some(f) = self.fields.get_mut(field.0 as usize) {
            f.shown = false;
        }
    }

    pub fn hide_opt(&mut self, field: Option<FieldIx>) {
        if let Some(field) = field {
            self.hide(field);
        }
    }

    /// Drops every field of this name (any case).
    pub fn remove(&mut self, name: &[u8]) {
        let Self { fields, arena, .. } = self;
        for f in fields.iter_mut() {
            if arena.get(f.name.0 as usize..f.name.1 as usize).is_some_and(|n| n.eq_ignore_ascii_case(name)) {
                f.shown = false;
            }
        }
    }

    /// Drops what describes a body that will not be sent after all (error pages).
    pub fn clear_entity(&mut self) {
        for field in [self.accept_ranges.take(), self.etag.take(), self.last_modified_field.take()] {
            self.hide_opt(field);
        }
        self.last_modified = None;
    }

    /// Names and values of what will be sent, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().filter(|f| f.shown).map(|f| (self.bytes(f.name), self.bytes(f.value)))
    }

    fn bytes(&self, (from, to): (u32, u32)) -> &[u8] {
        self.arena.get(from as usize..to as usize).unwrap_or_default()
    }
}

fn position(n: usize) -> u32 {
    u32::try_from(n).expect("a head is far below 4 GiB: what it is made of is limited by buffers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_can_be_taken_back() {
        let mut out = OutHead::default();
        out.push(b"X-A", b"1");
        out.set_location(b"/old");
        out.push(b"x-b", b"2");
        out.set_location(b"/new");
        out.remove(b"X-B");
        let all: Vec<_> = out.fields().collect();
        assert_eq!(all, [(&b"X-A"[..], &b"1"[..]), (b"Location", b"/new")]);
        out.clear();
        assert_eq!(out.fields().count(), 0);
        assert!(out.location.is_none());
    }
}
