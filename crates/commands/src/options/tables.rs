//! Tables of anybody's in place of a MovieLens folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use mmdlrm::data::{InteractionFiles, InteractionOptions, Role, Schema};
use mmdlrm::features::{DrawnBy, NegativeSampling};

use super::Policies;

/// What these options stand under.
const OWN: &str = "Data of your own";

/// For `#[command(flatten)]`.
#[derive(Debug, Clone, Default, Args)]
pub struct Tables {
    /// Table of interactions, in place of a MovieLens folder: Parquet, CSV or .tsv, which may be
    /// compressed by gzip
    #[arg(long, help_heading = OWN, value_name = "FILE", group = "ratings", conflicts_with = "data")]
    pub interactions: Option<PathBuf>,
    /// Table of users, likewise
    #[arg(long, help_heading = OWN, value_name = "FILE", requires = "interactions")]
    users: Option<PathBuf>,
    /// Table of items, likewise [default: all that somebody interacted with]
    #[arg(long, help_heading = OWN, value_name = "FILE", requires = "interactions")]
    items: Option<PathBuf>,
    /// Column of the users' ids [default: one called user_id, customer_id or the like]
    #[arg(long, help_heading = OWN, value_name = "COLUMN", requires = "interactions")]
    user: Option<String>,
    /// Column of the items' ids [default: one called item_id, product_id, sku or the like]
    #[arg(long, help_heading = OWN, value_name = "COLUMN", requires = "interactions")]
    item: Option<String>,
    /// Column of what an interaction came to, a rating of any scale or 0 and 1 [default: one called
    /// rating, label, bought or the like; without one, that there is an interaction says all]
    #[arg(long, help_heading = OWN, value_name = "COLUMN", requires = "interactions")]
    target: Option<String>,
    /// Learn that there are interactions alone, whatever their columns are called
    #[arg(long, help_heading = OWN, requires = "interactions", conflicts_with = "target")]
    implicit: bool,
    /// Column of the times, in any unit [default: one called time, timestamp or the like]
    #[arg(long, help_heading = OWN, value_name = "COLUMN", requires = "interactions")]
    time: Option<String>,
    /// What a column is where its type does not say it: id, bag, dense, vector, title, year, image,
    /// text or unused. May be given again, for others
    #[arg(long, help_heading = OWN, value_name = "COLUMN=ROLE", requires = "interactions", value_parser = column)]
    column: Vec<(String, Role)>,
    /// Column of the items' titles, as --column COLUMN=title
    #[arg(long, help_heading = OWN, value_name = "COLUMN", requires = "items")]
    title: Option<String>,
    /// Column of the paths of the items' pictures, as --column COLUMN=image
    #[arg(long, help_heading = OWN, value_name = "COLUMN", requires = "items")]
    image_column: Option<String>,
    /// Column of texts about the items, as --column COLUMN=text
    #[arg(long, help_heading = OWN, value_name = "COLUMN", requires = "items")]
    text_column: Option<String>,
    /// The least and the most that a rating may be [default: those that there are]
    #[arg(long, help_heading = OWN, value_name = "LOW:HIGH", requires = "interactions", value_parser = scale, allow_hyphen_values = true)]
    scale: Option<(f32, f32)>,
}

/// For `#[command(flatten)]`.
#[derive(Debug, Clone, Default, Args)]
pub struct Negatives {
    /// Items that are learned as not chosen beside each interaction, where there is no target
    /// [default: 4]
    #[arg(long, help_heading = OWN, value_name = "COUNT", requires = "interactions")]
    negatives: Option<usize>,
    /// How likely each of them is [default: uniform]
    #[arg(long, help_heading = OWN, value_enum, requires = "interactions")]
    negatives_by: Option<By>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// All alike
    Uniform,
    /// By the number of its interactions
    Popularity,
}

pub fn column(text: &str) -> Result<(String, Role), String> {
    let parts = text.rsplit_once('=').filter(|(name, _)| !name.is_empty());
    let (name, role) = parts.ok_or("write COLUMN=ROLE, as store=id")?;
    let role = Role::from_str(role).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), role))
}

fn scale(text: &str) -> Result<(f32, f32), String> {
    let number = |text: &str| text.trim().parse::<f32>().ok();
    let ends = text.split_once(':');
    let ends = ends.and_then(|(low, high)| Some((number(low)?, number(high)?)));
    ends.ok_or_else(|| "write LOW:HIGH, as 1:10".to_owned())
}

impl Tables {
    /// The files and how they are read, if there are any.
    pub fn files(&self, policies: &Policies) -> Option<InteractionFiles> {
        let interactions = self.interactions.clone()?;
        let mut roles: BTreeMap<String, Role> = self.column.iter().cloned().collect();
        let named = [
            (&self.title, Role::Title),
            (&self.image_column, Role::Image),
            (&self.text_column, Role::Text),
        ];
        for (column, role) in named {
            roles.extend(column.iter().map(|column| (column.clone(), role)));
        }
        let schema = Schema {
            user: self.user.clone(),
            item: self.item.clone(),
            target: self.target.clone(),
            time: self.time.clone(),
            implicit: self.implicit,
            roles,
        };
        Some(InteractionFiles {
            interactions,
            users: self.users.clone(),
            items: self.items.clone(),
            options: InteractionOptions {
                schema,
                scale: self.scale,
                unknown_items: policies.unknown_movies(),
                duplicates: policies.named_duplicates(),
            },
        })
    }

    /// Whether a column is named that has this role.
    pub fn has(&self, role: Role) -> bool {
        let is_named = match role {
            Role::Image => self.image_column.is_some(),
            Role::Text => self.text_column.is_some(),
            _ => false,
        };
        is_named || self.column.iter().any(|(_, of_column)| *of_column == role)
    }
}

impl Negatives {
    /// How they are drawn.
    pub fn sampling(&self) -> NegativeSampling {
        let usual = NegativeSampling::default();
        NegativeSampling {
            per_interaction: self.negatives.unwrap_or(usual.per_interaction),
            by: match self.negatives_by {
                Some(By::Popularity) => DrawnBy::Popularity,
                Some(By::Uniform) => DrawnBy::Uniform,
                None => usual.by,
            },
        }
    }
}
