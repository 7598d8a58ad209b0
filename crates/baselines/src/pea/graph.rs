//! The graph: users, movies, and what movies have.

use mmdlrm_features::Features;
use mmdlrm_train::{Error, Result};

use super::edges::{Edges, Step};
use super::links::Links;
use crate::pairs::Pairs;

/// The years of the first decade, which has all that came before too.
const FIRST_DECADE: i32 = 1950;
const DECADE: i32 = 10;

/// What a node is. Those of a kind stand together, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    User,
    Movie,
    Genre,
    Year,
    Director,
    Actor,
    Writer,
    Tag,
}

/// Kinds of nodes.
pub(crate) const NODES: usize = 8;

/// Which edges there are, from what to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    UserMovie,
    YearMovie,
    GenreMovie,
    DirectorMovie,
    ActorMovie,
    WriterMovie,
    TagMovie,
    TagUser,
}

impl Relation {
    pub const ALL: [Self; 8] = [
        Self::UserMovie,
        Self::YearMovie,
        Self::GenreMovie,
        Self::DirectorMovie,
        Self::ActorMovie,
        Self::WriterMovie,
        Self::TagMovie,
        Self::TagUser,
    ];

    /// What its edges begin at.
    pub fn source(self) -> Node {
        match self {
            Self::UserMovie => Node::User,
            Self::YearMovie => Node::Year,
            Self::GenreMovie => Node::Genre,
            Self::DirectorMovie => Node::Director,
            Self::ActorMovie => Node::Actor,
            Self::WriterMovie => Node::Writer,
            Self::TagMovie | Self::TagUser => Node::Tag,
        }
    }

    /// What they end at.
    pub fn target(self) -> Node {
        match self {
            Self::TagUser => Node::User,
            _ => Node::Movie,
        }
    }
}

/// Along a relation, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Forth(Relation),
    Back(Relation),
}

/// Two steps, and what they are called by: users, items, years, actors, writers, directors,
/// genres and tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metapath {
    pub name: &'static str,
    pub ways: [Way; 2],
}

/// All of them, in the order of the authors' code for ml-latest-small.
const METAPATHS: [Metapath; 9] = {
    use Relation::{
        ActorMovie, DirectorMovie, GenreMovie, TagMovie, TagUser, UserMovie, WriterMovie, YearMovie,
    };
    use Way::{Back, Forth};
    const fn path(name: &'static str, first: Way, second: Way) -> Metapath {
        Metapath {
            name,
            ways: [first, second],
        }
    }
    [
        path("U-I-U", Forth(UserMovie), Back(UserMovie)),
        path("I-U-I", Back(UserMovie), Forth(UserMovie)),
        path("Y-I-U", Forth(YearMovie), Back(UserMovie)),
        path("A-I-U", Forth(ActorMovie), Back(UserMovie)),
        path("W-I-U", Forth(WriterMovie), Back(UserMovie)),
        path("D-I-U", Forth(DirectorMovie), Back(UserMovie)),
        path("G-I-U", Forth(GenreMovie), Back(UserMovie)),
        path("T-I-U", Forth(TagMovie), Back(UserMovie)),
        path("T-U-I", Forth(TagUser), Forth(UserMovie)),
    ]
};

/// Nodes, edges, and the metapaths whose relations there are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Graph {
    /// Where the nodes of each kind begin, and where the last end.
    starts: [usize; NODES + 1],
    /// Edges of each relation, none of one that there is not.
    relations: Vec<Edges>,
    paths: Vec<Metapath>,
}

/// The metapaths whose relations there are.
pub(crate) fn metapaths(has: impl Fn(Relation) -> bool) -> Vec<Metapath> {
    let there = |way: &Way| match *way {
        Way::Forth(relation) | Way::Back(relation) => has(relation),
    };
    let all = METAPATHS.into_iter();
    all.filter(|path| path.ways.iter().all(there)).collect()
}

impl Graph {
    /// Of the number of nodes of each kind, and edges `(source, target)` by their number within
    /// their kinds; `None` of a relation that there is not.
    ///
    /// # Errors
    /// Nodes that there are not.
    pub fn new(
        counts: [usize; NODES],
        edges: impl Fn(Relation) -> Option<Vec<(u32, u32)>>,
    ) -> Result<Self> {
        let mut starts = [0; NODES + 1];
        for kind in 0..NODES {
            starts[kind + 1] = starts[kind] + counts[kind];
        }
        let nodes = starts[NODES];
        if u32::try_from(nodes).is_err() {
            return Err(Error::Mismatch(format!("{nodes} nodes are too many")));
        }
        let mut relations = Vec::new();
        let mut there = [false; Relation::ALL.len()];
        for relation in Relation::ALL {
            let edges = edges(relation);
            there[relation as usize] = edges.is_some();
            let mut edges = edges.unwrap_or_default();
            let ends = [relation.source(), relation.target()];
            let [sources, targets] = ends.map(|kind| counts[kind as usize]);
            let is_there = |&(a, b): &(u32, u32)| (a as usize) < sources && (b as usize) < targets;
            if let Some((source, target)) = edges.iter().find(|edge| !is_there(edge)) {
                return Err(Error::Mismatch(format!(
                    "an edge {relation:?} from {source} to {target} is of nodes that there are not"
                )));
            }
            let [source, target] = ends.map(|kind| starts[kind as usize] as u32);
            for edge in &mut edges {
                *edge = (edge.0 + source, edge.1 + target);
            }
            relations.push(Edges::of(nodes, &edges));
        }
        Ok(Self {
            starts,
            relations,
            paths: metapaths(|relation| there[relation as usize]),
        })
    }

    /// Of training pairs, of what the features say of movies, and of what else there is.
    ///
    /// # Errors
    /// Nodes that there are not.
    pub fn of(pairs: &Pairs, features: &Features, links: &Links) -> Result<Self> {
        let genres = features.genre_names().len();
        let (years, decades) = decades(features);
        let people = |relation| links.people(relation).map_or(0, |it| it.count);
        let counts = [
            pairs.users(),
            pairs.items(),
            genres,
            years,
            people(Relation::DirectorMovie),
            people(Relation::ActorMovie),
            people(Relation::WriterMovie),
            links.tags().map_or(0, |it| it.count),
        ];
        Self::new(counts, |relation| match relation {
            Relation::UserMovie => Some(rated(pairs)),
            Relation::YearMovie => Some((decades.iter().copied()).zip(0..).collect()),
            Relation::GenreMovie => (genres > 0).then(|| of_genres(features)),
            Relation::DirectorMovie | Relation::ActorMovie | Relation::WriterMovie => {
                links.people(relation).map(|it| it.edges.clone())
            }
            Relation::TagMovie => links.tags().map(|it| it.to_movies().collect()),
            Relation::TagUser => links.tags().map(|it| it.to_users().collect()),
        })
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.starts[NODES]
    }

    /// How many there are of a kind.
    pub fn count(&self, kind: Node) -> usize {
        self.starts[kind as usize + 1] - self.starts[kind as usize]
    }

    /// The first node of a kind.
    pub fn start(&self, kind: Node) -> usize {
        self.starts[kind as usize]
    }

    /// The metapaths whose relations there are.
    pub fn paths(&self) -> &[Metapath] {
        &self.paths
    }

    /// The edges of a relation, in its direction.
    pub fn relation(&self, relation: Relation) -> Step<'_> {
        self.relations[relation as usize].forth()
    }

    /// The steps of a metapath, by its number.
    pub fn steps(&self, path: usize) -> [Step<'_>; 2] {
        self.paths[path].ways.map(|way| match way {
            Way::Forth(relation) => self.relations[relation as usize].forth(),
            Way::Back(relation) => self.relations[relation as usize].back(),
        })
    }
}

/// Training pairs.
fn rated(pairs: &Pairs) -> Vec<(u32, u32)> {
    let of_user = |user: u32| pairs.of_user(user).iter().map(move |&item| (user, item));
    (0..pairs.users() as u32).flat_map(of_user).collect()
}

fn of_genres(features: &Features) -> Vec<(u32, u32)> {
    let of_movie = |movie: u32| {
        features
            .genres(movie)
            .iter()
            .map(move |&genre| (genre, movie))
    };
    (0..features.movies().len() as u32)
        .flat_map(of_movie)
        .collect()
}

/// How many decades there are movies of, and the number of each movie's.
fn decades(features: &Features) -> (usize, Vec<u32>) {
    let decade = |&year: &f32| (year as i32).max(FIRST_DECADE).div_euclid(DECADE);
    let of_movies: Vec<i32> = features.years().iter().map(decade).collect();
    let mut all = of_movies.clone();
    all.sort_unstable();
    all.dedup();
    let number = |decade: &i32| all.partition_point(|it| it < decade) as u32;
    (all.len(), of_movies.iter().map(number).collect())
}
