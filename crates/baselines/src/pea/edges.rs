//! Edges from nodes to nodes, by where they end and by where they begin.

use std::ops::Range;

/// What a thread takes at a time, at least, in edges.
const LEAST_PIECE: usize = 4096;
/// What a row costs beside its edges, in edges.
const ROW: usize = 8;
/// Pieces, at most: each may have sums of its own.
const PIECES: usize = 32;

/// Edges by one of their ends (compressed sparse rows).
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ends {
    offsets: Vec<usize>,
    /// The other end of each edge.
    nodes: Vec<u32>,
    /// Rows by pieces that cost about as much, whatever the number of threads.
    pieces: Vec<Range<usize>>,
}

/// Edges in both orders. One that there is twice counts twice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edges {
    by_target: Ends,
    by_source: Ends,
}

/// A step from nodes to their neighbours: edges as they point, or back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    /// By the node that a step ends at.
    pub into: &'a Ends,
    /// By the node that it begins at.
    pub out_of: &'a Ends,
}

impl Ends {
    /// `edges` are `(row, node)`, in order.
    fn of(rows: usize, mut edges: Vec<(u32, u32)>) -> Self {
        edges.sort_unstable();
        let mut offsets = vec![0; rows + 1];
        for &(row, _) in &edges {
            offsets[row as usize + 1] += 1;
        }
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        Self {
            nodes: edges.iter().map(|&(_, node)| node).collect(),
            pieces: pieces(&offsets),
            offsets,
        }
    }

    /// The other ends of a row's edges.
    pub fn nodes(&self, row: usize) -> &[u32] {
        &self.nodes[self.offsets[row]..self.offsets[row + 1]]
    }

    /// How many edges a row has.
    pub fn degree(&self, row: usize) -> usize {
        self.offsets[row + 1] - self.offsets[row]
    }

    /// From the first row with an edge to the last.
    pub fn span(&self) -> Range<usize> {
        let edges = self.nodes.len();
        let end = self.offsets.partition_point(|&offset| offset < edges);
        let start = self.offsets.partition_point(|&offset| offset == 0);
        start.saturating_sub(1).min(end)..end
    }

    /// The first `rows` rows, in pieces.
    pub fn pieces(&self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        let pieces = self.pieces.iter();
        let cut = pieces.map(move |piece| piece.start..piece.end.min(rows));
        cut.filter(|piece| !piece.is_empty())
    }
}

fn pieces(offsets: &[usize]) -> Vec<Range<usize>> {
    let rows = offsets.len() - 1;
    let cost = |row: usize| offsets[row] + ROW * row;
    let most = LEAST_PIECE.max(cost(rows).div_ceil(PIECES));
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in 1..=rows {
        if cost(end) - cost(start) >= most || end == rows {
            pieces.push(start..end);
            start = end;
        }
    }
    pieces
}

/// Cuts rows of `width` numbers by pieces that follow each other from row 0 on.
pub(crate) fn cut_rows<T>(
    pieces: impl Iterator<Item = Range<usize>>,
    width: usize,
    mut rows: &mut [T],
) -> Vec<&mut [T]> {
    let mut cut = Vec::new();
    for piece in pieces {
        let own;
        (own, rows) = rows.split_at_mut(piece.len() * width);
        cut.push(own);
    }
    cut
}

impl Edges {
    /// Of `(source, target)` in any order, among so many nodes.
    pub fn of(nodes: usize, edges: &[(u32, u32)]) -> Self {
        let turned = edges.iter().map(|&(source, target)| (target, source));
        Self {
            by_target: Ends::of(nodes, turned.collect()),
            by_source: Ends::of(nodes, edges.to_vec()),
        }
    }

    /// From sources to targets.
    pub fn forth(&self) -> Step<'_> {
        Step {
            into: &self.by_target,
            out_of: &self.by_source,
        }
    }

    /// From targets to sources.
    pub fn back(&self) -> Step<'_> {
        Step {
            into: &self.by_source,
            out_of: &self.by_target,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_found_from_both_of_their_ends_as_often_as_there_are() {
        let edges = Edges::of(6, &[(3, 1), (1, 4), (3, 1), (1, 1), (2, 4)]);
        let forth = edges.forth();
        assert_eq!(forth.into.nodes(1), [1, 3, 3]);
        assert_eq!(forth.into.nodes(4), [1, 2]);
        assert_eq!(forth.out_of.nodes(3), [1, 1]);
        assert_eq!((forth.into.degree(4), forth.into.degree(5)), (2, 0));
        assert_eq!((forth.into.span(), forth.out_of.span()), (1..5, 1..4));
        assert_eq!(edges.back().into.nodes(1), [1, 4]);
        assert_eq!(Edges::of(3, &[]).forth().into.span(), 0..0);
        assert_eq!(Edges::of(3, &[(0, 2)]).forth().out_of.span(), 0..1);
    }

    #[test]
    fn pieces_have_every_row_once_and_are_few() {
        let listed: Vec<(u32, u32)> = (0..20_000).map(|edge| (edge % 700, edge % 3)).collect();
        for nodes in [700, 2000, 200_000] {
            let edges = Edges::of(nodes, &listed);
            for ends in [edges.forth().into, edges.back().into] {
                for rows in [nodes, 601, 1] {
                    assert!(ends.pieces(rows).flatten().eq(0..rows));
                }
                let count = ends.pieces(nodes).count();
                assert!((2..=PIECES + 1).contains(&count), "{count}");
            }
        }
    }
}
