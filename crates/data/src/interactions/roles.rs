//! Each column of a table gets its role.

use arrow_schema::{DataType, Schema as ArrowSchema};

use super::place::Place;
use super::schema::{Role, Schema, Side, is_usual};
use super::times::is_time;
use crate::tables::{did_you_mean, is_number};
use crate::{Error, Result};

/// A table whose columns all have a role.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Roles {
    pub side: Side,
    /// By place in the table.
    pub columns: Vec<ColumnRole>,
}

/// A column and what it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ColumnRole {
    pub name: String,
    pub role: Role,
    /// Whether somebody said so, and not its type alone.
    pub is_named: bool,
}

impl Roles {
    /// The column of a role that has one at most.
    pub fn one(&self, wanted: Role) -> Option<&str> {
        let mut of_role = self.columns.iter().filter(|it| it.role == wanted);
        of_role.next().map(|it| it.name.as_str())
    }
}

impl Schema {
    /// Gives a role to each column of a table.
    ///
    /// # Errors
    /// A column that is named and not there, two of a role that has one, and one whose type does
    /// not fit the role that it is given.
    pub(super) fn roles_of(
        &self,
        side: Side,
        columns: &ArrowSchema,
        untyped: bool,
    ) -> Result<Roles> {
        let names: Vec<&str> = columns
            .fields()
            .iter()
            .map(|it| it.name().as_str())
            .collect();
        let mut with_roles: Vec<ColumnRole> = Vec::with_capacity(names.len());
        for field in columns.fields() {
            if with_roles.iter().any(|it| it.name == *field.name()) {
                let problem = "stands twice; keep one of them";
                return Err(Place::of(side.table(), field.name()).bad(None, problem));
            }
            let named = self.roles.get(field.name()).copied();
            if let Some(role) = named {
                check_type(side, field.name(), role, field.data_type(), untyped)?;
            }
            with_roles.push(ColumnRole {
                name: field.name().clone(),
                role: named.unwrap_or_else(|| by_type(field.data_type())),
                is_named: named.is_some(),
            });
        }
        let mut roles = Roles {
            side,
            columns: with_roles,
        };
        let (named, others): (Vec<_>, Vec<_>) = self
            .keys(side)
            .into_iter()
            .partition(|(_, it)| it.is_some());
        for (role, column) in named.into_iter().chain(others) {
            match column {
                Some(column) => roles.name(role, column, self, &names)?,
                None => roles.find(role, self, &names)?,
            }
        }
        if self.implicit && side == Side::Pair {
            let mut targets = roles.columns.iter().filter(|it| it.role == Role::Target);
            if let Some(target) = targets.next() {
                let problem =
                    "is to be the target of interactions that are to have none; choose one";
                return Err(Place::of(side.table(), &target.name).bad(None, problem));
            }
        }
        if side == Side::Pair {
            roles.leave_out_what_is_not_named();
        }
        roles.check_singles()?;
        Ok(roles)
    }

    /// Roles that a table's columns are looked for, and what they are called.
    fn keys(&self, side: Side) -> Vec<(Role, Option<&str>)> {
        let user = (Role::User, self.user.as_deref());
        let item = (Role::Item, self.item.as_deref());
        match side {
            Side::User => vec![user],
            Side::Item => vec![item, (Role::Title, None)],
            Side::Pair => vec![
                user,
                item,
                (Role::Target, self.target.as_deref()),
                (Role::Time, self.time.as_deref()),
            ],
        }
    }
}

impl Roles {
    /// Gives a role to the column that is called so.
    fn name(&mut self, wanted: Role, named: &str, schema: &Schema, names: &[&str]) -> Result<()> {
        let found = names.iter().position(|name| *name == named);
        let place = found.ok_or_else(|| missing(self.side, named, names))?;
        let given = schema.roles.get(named).copied();
        let column = &mut self.columns[place];
        // A type alone makes no key.
        let earlier = column.role.is_key().then_some(column.role);
        match given.or(earlier).filter(|&role| role != wanted) {
            None => {
                column.role = wanted;
                Ok(())
            }
            Some(other) => {
                let problem =
                    format!("is to be the {wanted} and given the role {other}; choose one");
                Err(Place::of(self.side.table(), named).bad(None, problem))
            }
        }
    }

    /// Finds the column of a role, as the roles say or by a usual name, among those that nobody
    /// says to be something else.
    fn find(&mut self, wanted: Role, schema: &Schema, names: &[&str]) -> Result<()> {
        if self.one(wanted).is_some() || wanted == Role::Target && schema.implicit {
            return Ok(());
        }
        let found = self.columns.iter_mut().find(|column| {
            let is_free = !schema.roles.contains_key(&column.name) && !column.role.is_key();
            is_free && is_usual(wanted, &column.name)
        });
        match found {
            Some(column) => column.role = wanted,
            None if matches!(wanted, Role::User | Role::Item) => {
                let problem = format!(
                    "there is none of a usual name, as {wanted}_id; say which column is the \
                     {wanted}: they are {}",
                    names.join(", ")
                );
                let column = format!("{wanted}_id");
                return Err(Place::of(self.side.table(), &column).bad(None, problem));
            }
            None => {}
        }
        Ok(())
    }

    /// What goes with a single interaction may say how it ended: it is learned from where somebody
    /// says so.
    fn leave_out_what_is_not_named(&mut self) {
        for column in &mut self.columns {
            if !column.role.is_key() && !column.is_named {
                column.role = Role::Unused;
            }
        }
    }

    /// Refuses two columns of a role that has one.
    fn check_singles(&self) -> Result<()> {
        const SINGLE: [Role; 8] = [
            Role::User,
            Role::Item,
            Role::Target,
            Role::Time,
            Role::Title,
            Role::Year,
            Role::Image,
            Role::Text,
        ];
        for single in SINGLE {
            let of_role = self.columns.iter().filter(|it| it.role == single);
            let names: Vec<&str> = of_role.map(|it| it.name.as_str()).collect();
            if let [first, second, ..] = names[..] {
                let problem = format!(
                    "is the {single}, as '{first}' is, and there is one of a table; give one of \
                     them another role, or none: {second}=unused"
                );
                return Err(Place::of(self.side.table(), second).bad(None, problem));
            }
        }
        Ok(())
    }
}

/// That a table has no such column.
pub(super) fn missing(side: Side, column: &str, names: &[&str]) -> Error {
    let nearest = did_you_mean(column, names.iter().copied());
    let problem = format!("is missing{nearest}; the columns are: {}", names.join(", "));
    Place::of(side.table(), column).bad(None, problem)
}

fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Dictionary(_, values) => is_text(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        _ => false,
    }
}

/// What a list is of.
fn item_of(found: &DataType) -> Option<&DataType> {
    match found {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

/// The role that a type says. Of a file without types, all are texts, and what is in them says
/// more.
fn by_type(found: &DataType) -> Role {
    match (found, item_of(found)) {
        (_, Some(item)) if item.is_floating() => Role::Vector,
        (_, Some(item)) if is_text(item) || item.is_integer() => Role::Bag,
        (found, _) if is_text(found) => Role::Id,
        (found, _) if is_number(found) || is_time(found) => Role::Dense,
        (DataType::Boolean, _) => Role::Dense,
        _ => Role::Unused,
    }
}

/// Refuses a role that a column of this type cannot have.
fn check_type(side: Side, column: &str, role: Role, found: &DataType, untyped: bool) -> Result<()> {
    let is_dense = is_number(found) || is_time(found) || *found == DataType::Boolean;
    let (fits, expected) = match role {
        Role::Id => (
            is_text(found) || found.is_integer() || *found == DataType::Boolean,
            "texts or whole numbers; a list is a bag",
        ),
        Role::Bag => (
            is_text(found) || item_of(found).is_some_and(|it| is_text(it) || it.is_integer()),
            "lists of texts or of whole numbers, or texts with | between values",
        ),
        Role::Dense => (is_dense || untyped, "numbers, moments, or true and false"),
        Role::Vector => (
            item_of(found).is_some_and(is_number),
            "lists of numbers, as many in each",
        ),
        Role::Title | Role::Image | Role::Text => (is_text(found), "texts"),
        Role::Year => (
            found.is_integer() || found.is_floating() || untyped,
            "whole numbers",
        ),
        _ => (true, ""),
    };
    let of_items = matches!(role, Role::Title | Role::Year | Role::Image | Role::Text);
    if of_items && side != Side::Item {
        let problem = format!(
            "cannot be the {role}, which items have; it is a column of {}",
            side.table()
        );
        return Err(Place::of(side.table(), column).bad(None, problem));
    }
    match fits {
        true => Ok(()),
        false => {
            let problem = format!("is of the type {found}, and as {role} has to be of {expected}");
            Err(Place::of(side.table(), column).bad(None, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::Field;

    use super::*;

    fn table(fields: &[(&str, DataType)]) -> ArrowSchema {
        let fields = fields.iter();
        ArrowSchema::new(
            fields
                .map(|(name, found)| Field::new(*name, found.clone(), true))
                .collect::<Vec<_>>(),
        )
    }

    fn list(item: DataType) -> DataType {
        DataType::List(Field::new_list_field(item, true).into())
    }

    fn events() -> ArrowSchema {
        table(&[
            ("User_ID", DataType::Utf8),
            ("sku", DataType::Int64),
            ("price", DataType::Float32),
            ("bought", DataType::Boolean),
            ("ts", DataType::Int64),
        ])
    }

    fn refused(schema: &Schema, side: Side, columns: &ArrowSchema) -> String {
        schema
            .roles_of(side, columns, false)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn usual_names_and_types_give_roles_and_names_change_them() {
        let mut schema = Schema::default();
        let of = |schema: &Schema| -> Vec<Role> {
            let roles = schema.roles_of(Side::Pair, &events(), false).unwrap();
            roles.columns.into_iter().map(|it| it.role).collect()
        };
        use Role::{Dense, Id, Item, Target, Time, Unused, User};
        assert_eq!(of(&schema), [User, Item, Unused, Target, Time]);
        schema.implicit = true;
        schema.roles.insert("price".to_owned(), Dense);
        assert_eq!(of(&schema), [User, Item, Dense, Unused, Time]);
        schema = Schema {
            target: Some("price".to_owned()),
            roles: [("bought".to_owned(), Id), ("ts".to_owned(), Unused)].into(),
            ..Schema::default()
        };
        assert_eq!(of(&schema), [User, Item, Target, Id, Unused]);
        let items = table(&[
            ("sku", DataType::Int64),
            ("tags", list(DataType::Utf8)),
            ("look", list(DataType::Float64)),
            ("released", DataType::Date32),
            ("photo", DataType::Binary),
        ]);
        let roles = Schema::default()
            .roles_of(Side::Item, &items, false)
            .unwrap();
        let roles: Vec<Role> = roles.columns.into_iter().map(|it| it.role).collect();
        assert_eq!(roles, [Item, Role::Bag, Role::Vector, Dense, Unused]);
    }

    #[test]
    fn a_usual_name_takes_no_column_that_is_named_as_something_else() {
        use Role::{Item, Target, Unused, User};
        let of = |schema: &Schema, names: &[&str]| -> Vec<Role> {
            let fields: Vec<_> = names.iter().map(|name| (*name, DataType::Int64)).collect();
            let roles = schema.roles_of(Side::Pair, &table(&fields), false).unwrap();
            roles.columns.into_iter().map(|it| it.role).collect()
        };
        let minutes = Schema {
            target: Some("time".to_owned()),
            ..Schema::default()
        };
        assert_eq!(
            of(&minutes, &["user", "item", "time"]),
            [User, Item, Target]
        );
        let swapped = Schema {
            item: Some("user".to_owned()),
            ..Schema::default()
        };
        assert_eq!(of(&swapped, &["user", "customer"]), [Item, User]);
        // Of two usual names the first is taken.
        let usual = ["user", "customer", "sku"];
        assert_eq!(of(&Schema::default(), &usual), [User, Unused, Item]);
    }

    #[test]
    fn columns_that_cannot_be_what_they_are_to_be_are_refused() {
        let mut schema = Schema {
            user: Some("user_id".to_owned()),
            ..Schema::default()
        };
        let error = refused(&schema, Side::Pair, &events());
        assert!(
            error.contains("'user_id': is missing, did you mean 'User_ID'?"),
            "{error}"
        );
        schema = Schema::default();
        schema.roles = ["price", "bought"]
            .map(|name| (name.to_owned(), Role::Target))
            .into();
        let error = refused(&schema, Side::Pair, &events());
        assert!(
            error.contains("column 'bought': is the target, as 'price' is"),
            "{error}"
        );
        schema.roles = [("tags".to_owned(), Role::Id)].into();
        let items = table(&[("sku", DataType::Int64), ("tags", list(DataType::Utf8))]);
        let error = refused(&schema, Side::Item, &items);
        assert!(
            error.contains("List") && error.contains("a list is a bag"),
            "{error}"
        );
        let nobody = table(&[("sku", DataType::Int64), ("who", DataType::Utf8)]);
        let error = refused(&Schema::default(), Side::Pair, &nobody);
        assert!(
            error.contains("say which column is the user: they are sku, who"),
            "{error}"
        );
        schema.roles = [("price".to_owned(), Role::Title)].into();
        let error = refused(&schema, Side::Pair, &events());
        assert!(
            error.contains("cannot be the title, which items have"),
            "{error}"
        );
        assert!(
            "tags"
                .parse::<Role>()
                .unwrap_err()
                .to_string()
                .contains("'tags'")
        );
    }
}
