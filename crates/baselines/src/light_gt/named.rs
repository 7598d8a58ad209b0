//! Which nodes of the graph a step is about.

/// The nodes that a step names, ascending: users, then items.
pub(super) struct Named {
    pub nodes: Vec<u32>,
    /// How many of them are users.
    pub users: usize,
    /// The number of each node among them, of those that are named.
    places: Vec<u32>,
}

impl Named {
    /// Of `users` users and all items, `nodes` in all, those that are named.
    pub fn of(named: impl IntoIterator<Item = u32>, users: usize, nodes: usize) -> Self {
        let mut places = vec![u32::MAX; nodes];
        for node in named {
            places[node as usize] = 0;
        }
        let mut found = Vec::new();
        for (node, place) in (0..).zip(&mut places) {
            if *place == 0 {
                *place = found.len() as u32;
                found.push(node);
            }
        }
        Self {
            users: found.partition_point(|&node| (node as usize) < users),
            nodes: found,
            places,
        }
    }

    pub fn place(&self, node: u32) -> u32 {
        self.places[node as usize]
    }
}
