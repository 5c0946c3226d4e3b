//! `set`, `if`, `rewrite` … as programs.

use super::Builder;
use crate::config::{self, Location, Op, Test};
use crate::plan::{self, LocId, LocMatch, Program, SetTo, Var, VarId};

impl Builder<'_> {
    /// Defines the variables that `set` makes, before anything names them.
    pub fn set_variables(&mut self) {
        for location in &self.http.locations {
            for op in &location.script.ops {
                if let Op::Set { name, .. } = op {
                    self.names.set(name);
                }
            }
        }
        let levels = self.http.locations.iter().map(|l| &l.level).chain([&self.http.level]);
        let gates = levels.filter_map(|l| l.gate.as_deref());
        for (name, _) in gates.filter_map(|g| g.auth_request_set.as_ref()).flatten() {
            self.names.set(name);
        }
    }

    /// The program of a location; `None`: there is nothing to do.
    pub fn program(&mut self, location: &Location) -> Option<Box<Program>> {
        if location.script.ops.is_empty() {
            return None;
        }
        let ops = location.script.ops.iter().filter_map(|op| self.op(op, location)).collect();
        Some(Box::new(Program { ops }))
    }

    /// An operation; `None` only when it was refused, and with it the configuration.
    fn op(&mut self, op: &Op, location: &Location) -> Option<plan::Op> {
        Some(match op {
            Op::Set { name, value, .. } => {
                plan::Op::Set { to: self.set_to(name), value: self.names.template(value) }
            }
            Op::If { test, enter, end } => {
                let enter = (location.kind != LocMatch::Server).then_some(LocId(*enter as u32));
                plan::Op::If { test: self.test(test)?, enter, end: *end }
            }
            Op::Rewrite(rewrite) => plan::Op::Rewrite(Box::new(self.rewrite(rewrite)?)),
            Op::Return(ret) => plan::Op::Return(plan::Return {
                code: ret.code,
                text: ret.text.as_ref().map(|t| self.names.template(t)),
            }),
            Op::Break => plan::Op::Break,
        })
    }

    /// What a variable is that is set.
    pub fn set_to(&mut self, name: &str) -> SetTo {
        match self.names.var(name) {
            Var::Fixed(VarId::LimitRate) => SetTo::LimitRate,
            Var::Slot(slot) => SetTo::Slot(slot),
            _ => SetTo::Args,
        }
    }

    fn test(&mut self, test: &Test) -> Option<plan::Test> {
        Some(match test {
            Test::True(var) => plan::Test::True(self.names.var(var)),
            Test::Equal { var, value, not } => {
                plan::Test::Equal { var: self.names.var(var), value: self.names.template(value), not: *not }
            }
            Test::Matches { var, pattern, not } => {
                let regex = self.names.regex(pattern, self.found)?;
                plan::Test::Matches { var: self.names.var(var), regex, not: *not }
            }
            Test::File { path, kind, not } => {
                plan::Test::File { path: self.names.template(path), kind: *kind, not: *not }
            }
        })
    }

    fn rewrite(&mut self, rewrite: &config::Rewrite) -> Option<plan::Rewrite> {
        Some(plan::Rewrite {
            regex: self.names.regex(&rewrite.pattern, self.found)?,
            path: self.names.template(&rewrite.path),
            args: rewrite.args.as_ref().map(|t| self.names.template(t)),
            keep_args: rewrite.keep_args,
            redirect: rewrite.redirect,
            last: rewrite.last,
            stay: rewrite.stay,
        })
    }
}
