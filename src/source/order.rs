//! The order in which nginx would read a configuration.

use std::collections::HashMap;

use super::Conf;
use crate::diag::FileId;

/// Ranks places by the moment at which a reader that follows includes comes to them.
#[derive(Debug, Default)]
pub struct ReadingOrder {
    /// By file: where each uninterrupted stretch begins, and its rank. Sorted.
    stretches: HashMap<FileId, Vec<(u32, u32)>>,
}

impl ReadingOrder {
    /// The rank of a place; compares as the moments do. A file that is read more than once counts as read the first
    /// time only.
    pub fn rank(&self, file: FileId, offset: u32) -> (u32, u32) {
        let Some(stretches) = self.stretches.get(&file) else { return (u32::MAX, offset) };
        let i = stretches.partition_point(|&(start, _)| start <= offset);
        let rank = stretches.get(i.saturating_sub(1)).map_or(u32::MAX, |&(_, rank)| rank);
        (rank, offset)
    }
}

impl Conf {
    pub fn reading_order(&self) -> ReadingOrder {
        // The includes of each file: the offset behind them, and what they bring.
        let mut includes: HashMap<FileId, Vec<(u32, &[FileId])>> = HashMap::new();
        for (&(file, id), files) in &self.includes {
            if let Some(tree) = self.trees.get(file.0 as usize) {
                includes.entry(file).or_default().push((tree.node(id).span.end, files));
            }
        }
        for list in includes.values_mut() {
            list.sort_unstable_by_key(|&(end, _)| std::cmp::Reverse(end));
        }
        let mut order = ReadingOrder::default();
        let mut rank = 0;
        // What is still to be read, the next one last: a file from an offset on.
        let mut todo: Vec<(FileId, u32)> = self.roots.iter().rev().map(|&file| (file, 0)).collect();
        while let Some((file, from)) = todo.pop() {
            if from == 0 && order.stretches.contains_key(&file) {
                continue;
            }
            order.stretches.entry(file).or_default().push((from, rank));
            rank += 1;
            if let Some((end, files)) = includes.get_mut(&file).and_then(Vec::pop) {
                todo.push((file, end));
                todo.extend(files.iter().rev().map(|&file| (file, 0)));
            }
        }
        order
    }
}
