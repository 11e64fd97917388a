//! Directed graphs of names: cycles, order, and the arrows whose removal breaks the cycles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A directed graph. An arrow holds the reasons for it, such as the imports between two rooms.
#[derive(Clone, Debug)]
pub struct Graph<T> {
    arrows: BTreeMap<String, BTreeMap<String, Vec<T>>>,
}

impl<T> Graph<T> {
    /// Makes a graph of `nodes` without arrows.
    pub fn new(nodes: impl IntoIterator<Item = String>) -> Self {
        Self { arrows: nodes.into_iter().map(|node| (node, BTreeMap::new())).collect() }
    }

    /// Adds a reason to the arrow from `from` to `to`. An arrow from a node to itself is ignored.
    pub fn add(&mut self, from: &str, to: &str, reason: T) {
        if from != to {
            self.arrows.entry(to.to_owned()).or_default();
            let targets = self.arrows.entry(from.to_owned()).or_default();
            targets.entry(to.to_owned()).or_default().push(reason);
        }
    }

    /// Returns all nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.arrows.keys().map(String::as_str)
    }

    /// Returns all arrows: from, to, and the reasons.
    pub fn arrows(&self) -> impl Iterator<Item = (&str, &str, &[T])> {
        self.arrows.iter().flat_map(|(from, targets)| {
            targets
                .iter()
                .map(move |(to, reasons)| (from.as_str(), to.as_str(), reasons.as_slice()))
        })
    }

    /// Returns the nodes that the arrows from `node` lead to.
    pub fn targets(&self, node: &str) -> impl Iterator<Item = &str> {
        self.arrows.get(node).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// Returns the reasons of one arrow; none if there is no such arrow.
    pub fn reasons(&self, from: &str, to: &str) -> &[T] {
        self.arrows.get(from).and_then(|targets| targets.get(to)).map_or(&[], Vec::as_slice)
    }

    /// Returns the nodes that `from` reaches over one or more arrows.
    fn reached(&self, from: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = self.targets(from).collect();
        while let Some(node) = open.pop() {
            if reached.insert(node) {
                open.extend(self.targets(node));
            }
        }
        reached
    }

    /// Returns the groups of nodes that reach each other, the largest first. A graph without cycles
    /// has none.
    pub fn cycles(&self) -> Vec<BTreeSet<&str>> {
        let reached: BTreeMap<_, _> = self.nodes().map(|node| (node, self.reached(node))).collect();
        let mut groups = BTreeSet::new();
        for (node, targets) in &reached {
            let group: BTreeSet<_> =
                targets.iter().copied().filter(|target| reached[target].contains(node)).collect();
            if !group.is_empty() {
                groups.insert(group);
            }
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        groups
    }

    /// Returns a shortest cycle among the nodes of `group`, without the first node at its end.
    pub fn shortest_cycle<'a>(&'a self, group: &BTreeSet<&'a str>) -> Vec<&'a str> {
        let cycles = group.iter().filter_map(|&start| self.way_back(start, group));
        cycles.min_by_key(Vec::len).unwrap_or_default()
    }

    /// Returns the shortest way from `start` to itself.
    fn way_back<'a>(&'a self, start: &'a str, group: &BTreeSet<&'a str>) -> Option<Vec<&'a str>> {
        let mut before = BTreeMap::new();
        let mut open = VecDeque::from([start]);
        while let Some(node) = open.pop_front() {
            for target in self.targets(node).filter(|target| group.contains(target)) {
                if target == start {
                    let mut way = vec![node];
                    while let Some(&previous) = before.get(way[way.len() - 1]) {
                        way.push(previous);
                    }
                    way.reverse();
                    return Some(way);
                }
                if !before.contains_key(target) {
                    before.insert(target, node);
                    open.push_back(target);
                }
            }
        }
        None
    }

    /// Returns few arrows whose removal leaves `group` without cycles, those with few reasons
    /// preferred. It is a good choice, and not always the best one.
    pub fn to_cut<'a>(&'a self, group: &BTreeSet<&'a str>) -> Vec<(&'a str, &'a str)> {
        let mut order = self.order_of(group);
        // Moving one node at a time, as long as it lowers the weight of the arrows that point back.
        loop {
            let before = self.weight_back(&order);
            for at in 0..order.len() {
                let node = order.remove(at);
                let best = (0..=order.len()).min_by_key(|&place| {
                    let mut tried = order.clone();
                    tried.insert(place, node);
                    (self.weight_back(&tried), place.abs_diff(at))
                });
                order.insert(best.unwrap_or(at), node);
            }
            if self.weight_back(&order) >= before {
                break;
            }
        }
        let mut cut = Vec::new();
        for (at, &node) in order.iter().enumerate() {
            cut.extend(
                order[..at]
                    .iter()
                    .filter(|&&to| !self.reasons(node, to).is_empty())
                    .map(|&to| (node, to)),
            );
        }
        cut
    }

    fn weight_back(&self, order: &[&str]) -> usize {
        order
            .iter()
            .enumerate()
            .flat_map(|(at, node)| order[..at].iter().map(move |to| self.reasons(node, to).len()))
            .sum()
    }

    /// Returns the nodes of `group` with those first that more arrows leave than reach.
    fn order_of<'a>(&self, group: &BTreeSet<&'a str>) -> Vec<&'a str> {
        let mut order: Vec<_> = group.iter().copied().collect();
        let weight = |from: &str, to: &str| self.reasons(from, to).len();
        order.sort_by_key(|&node| {
            let out: usize = group.iter().map(|to| weight(node, to)).sum();
            let back: usize = group.iter().map(|from| weight(from, node)).sum();
            back as i64 - out as i64
        });
        order
    }

    /// Returns the nodes in layers, from the top down: each imports only from later layers, except for
    /// nodes in a cycle with each other, which stand in one layer.
    pub fn layers(&self) -> Vec<Vec<&str>> {
        let reached: BTreeMap<_, _> = self.nodes().map(|node| (node, self.reached(node))).collect();
        let mut left: BTreeSet<_> = self.nodes().collect();
        let mut layers = Vec::new();
        while !left.is_empty() {
            // The lowest: all that they reach is placed, or reaches them back.
            let lowest: Vec<_> = left
                .iter()
                .copied()
                .filter(|node| {
                    reached[node]
                        .iter()
                        .all(|target| !left.contains(target) || reached[target].contains(node))
                })
                .collect();
            for node in &lowest {
                left.remove(node);
            }
            layers.push(lowest);
        }
        layers.reverse();
        layers
    }
}
