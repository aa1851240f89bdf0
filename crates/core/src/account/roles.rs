//! Roles: names from a configured list, sent in the `roles` claim. The role `admin` grants access to the admin routes. Resource
//! servers define the meaning of the others.

use std::fmt;

/// The role that grants access to the admin routes. The column `users.is_admin` has the same literal.
pub const ADMIN: &str = "admin";
/// Maximum length of a role name, in characters.
const MAX_LEN: usize = 32;

/// The configured roles: at least two. New users get the first one. [`ADMIN`] is one of the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roles(Vec<String>);

/// Why a list of roles is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RolesError {
    /// A name is not 1 to 32 characters of `a-z`, `0-9`, `_` and `-`, starting with a letter.
    Name,
    /// A name is repeated.
    Repeated,
    /// [`ADMIN`] is not in the list.
    NoAdmin,
    /// [`ADMIN`] is the first role, so every new user would be an admin.
    AdminFirst,
}

/// A role is not in the list or repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownRole;

impl Roles {
    /// Reads names separated by commas.
    ///
    /// # Errors
    /// [`RolesError`] of the first violated rule.
    pub fn parse(text: &str) -> Result<Self, RolesError> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if !names.iter().all(|name| is_name(name)) {
            return Err(RolesError::Name);
        }
        if has_repetition(&names) {
            return Err(RolesError::Repeated);
        }
        match names.iter().position(|name| name == ADMIN) {
            None => Err(RolesError::NoAdmin),
            Some(0) => Err(RolesError::AdminFirst),
            Some(_) => Ok(Self(names)),
        }
    }

    /// The roles of new users.
    #[must_use]
    pub fn first(&self) -> Vec<String> {
        self.0.iter().take(1).cloned().collect()
    }

    /// Checks that every role is in the list and occurs once. Returns them in the order of the list, so that equal sets of roles
    /// have equal text.
    ///
    /// # Errors
    /// [`UnknownRole`] if a role is not in the list or repeated.
    pub fn choose(&self, wanted: &[String]) -> Result<Vec<String>, UnknownRole> {
        if wanted.len() > self.0.len() || !wanted.iter().all(|role| self.0.contains(role)) || has_repetition(wanted) {
            return Err(UnknownRole);
        }
        Ok(self.0.iter().filter(|role| wanted.contains(role)).cloned().collect())
    }
}

impl fmt::Display for RolesError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Name => {
                "must be role names separated by commas, each 1 to 32 characters of a-z, 0-9, _ and -, starting with a letter"
            }
            Self::Repeated => "must not name a role twice",
            Self::NoAdmin => "must list \"admin\"",
            Self::AdminFirst => "must not begin with \"admin\": new users get the first role",
        })
    }
}

impl fmt::Display for UnknownRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Roles must be in the configured list, each at most once.")
    }
}

/// Whether the roles grant access to the admin routes.
#[must_use]
pub fn is_admin(roles: &[String]) -> bool {
    roles.iter().any(|role| role == ADMIN)
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_LEN
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}

fn has_repetition(names: &[String]) -> bool {
    names.iter().enumerate().any(|(position, name)| names.iter().take(position).any(|earlier| earlier == name))
}

#[cfg(test)]
mod tests {
    use super::{Roles, RolesError, UnknownRole, is_admin};

    fn owned(roles: &[&str]) -> Vec<String> {
        roles.iter().map(|role| (*role).to_owned()).collect()
    }

    #[test]
    fn new_users_get_the_first_role() {
        assert_eq!(Roles::parse("user,admin").unwrap().first(), ["user"]);
        assert_eq!(Roles::parse(" member , editor, admin ").unwrap().first(), ["member"]);
    }

    #[test]
    fn an_invalid_list_is_refused_with_its_reason() {
        let too_long = format!("user,admin,{}", "a".repeat(33));
        for (text, error) in [
            ("", RolesError::Name),
            ("user,,admin", RolesError::Name),
            ("User,admin", RolesError::Name),
            ("user,admin,1st", RolesError::Name),
            ("user,admin,a\"b", RolesError::Name),
            (&too_long, RolesError::Name),
            ("user,admin,user", RolesError::Repeated),
            ("user", RolesError::NoAdmin),
            ("user,administrator", RolesError::NoAdmin),
            ("admin,user", RolesError::AdminFirst),
        ] {
            assert_eq!(Roles::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn chosen_roles_are_checked_and_sorted() {
        let roles = Roles::parse("user,editor,admin").unwrap();
        assert_eq!(roles.choose(&owned(&["admin", "user"])), Ok(owned(&["user", "admin"])));
        assert_eq!(roles.choose(&[]), Ok(Vec::new()));
        for bad in [&["root"][..], &["user", "user"], &["Admin"], &[""]] {
            assert_eq!(roles.choose(&owned(bad)), Err(UnknownRole), "{bad:?}");
        }
    }

    #[test]
    fn only_the_exact_role_makes_an_admin() {
        assert!(is_admin(&owned(&["user", "admin"])));
        for roles in [&[][..], &["user"], &["administrator"], &["Admin"]] {
            assert!(!is_admin(&owned(roles)), "{roles:?}");
        }
    }
}
