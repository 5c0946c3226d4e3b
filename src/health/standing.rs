//! Rise and fall.

/// How many answers in a row turn a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub rise: u32,
    pub fall: u32,
}

/// Where a peer stands. Of the two counts one is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub down: bool,
    /// Good answers since the last bad one.
    pub rise: u32,
    /// Bad answers since the last good one.
    pub fall: u32,
}

/// What an answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Up,
    Down,
}

impl Standing {
    /// Before the first answer.
    pub fn first(default_down: bool) -> Self {
        Self { down: default_down, rise: 0, fall: 0 }
    }

    /// Counts an answer. Counts do not wrap.
    pub fn record(&mut self, good: bool, rules: Rules) -> Option<Change> {
        if good {
            self.rise = self.rise.saturating_add(1);
            self.fall = 0;
            if self.down && self.rise >= rules.rise {
                self.down = false;
                return Some(Change::Up);
            }
        } else {
            self.fall = self.fall.saturating_add(1);
            self.rise = 0;
            if !self.down && self.fall >= rules.fall {
                self.down = true;
                return Some(Change::Down);
            }
        }
        None
    }
}
