//! The rules of signing in: which proofs a session needs, and what they are worth.

/// An authentication method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// A password, verified or set in this request.
    Password,
    /// A code from a mail.
    Email,
    /// A code of an authenticator app (RFC 6238).
    Totp,
    /// A recovery code.
    RecoveryCode,
    /// A passkey, which verified its user.
    Passkey,
}

impl Method {
    /// Every method, in the order of the `amr` values.
    pub const ALL: [Self; 5] = [Self::Password, Self::Email, Self::Totp, Self::RecoveryCode, Self::Passkey];

    /// The `amr` values (RFC 8176, which has none for mails and recovery codes).
    #[must_use]
    pub const fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::Email => &["email"],
            Self::Totp => &["otp"],
            Self::RecoveryCode => &["recovery_code"],
            Self::Passkey => &["pop", "user"],
        }
    }

    /// The methods of stored `amr` values, separated by spaces.
    #[must_use]
    pub fn parse_amr(amr: &str) -> Vec<Self> {
        let has = |value: &&str| amr.split(' ').any(|other| other == *value);
        Self::ALL.into_iter().filter(|method| method.amr().iter().all(&has)).collect()
    }
}

/// The `amr` value of two factors (RFC 8176).
const TWO_FACTORS: &str = "mfa";

/// How certain it is that the user signed in (NIST SP 800-63B-4). The `acr` claim of access tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Assurance {
    /// One factor.
    Aal1,
    /// Two factors.
    Aal2,
}

impl Assurance {
    /// The `acr` value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
        }
    }

    /// The assurance of `amr` values; `None` without a password or two factors, because a mailbox is not an authenticator (NIST SP
    /// 800-63B-4 §3.1.3.1).
    #[must_use]
    pub fn of_amr<'a>(mut amr: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        if amr.clone().any(|value| value == TWO_FACTORS) {
            Some(Self::Aal2)
        } else {
            amr.any(|value| value == "pwd").then_some(Self::Aal1)
        }
    }
}

/// The factors of an account besides the password. An account with any of them signs in with two.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Factors {
    /// Whether it has an authenticator app.
    pub totp: bool,
    /// Whether it has a passkey.
    pub passkey: bool,
}

impl Factors {
    /// Whether the account has any.
    #[must_use]
    pub const fn any(self) -> bool {
        self.totp || self.passkey
    }
}

/// What decides which proofs the sign-in of an account needs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Account {
    /// Its factors.
    pub factors: Factors,
    /// Whether it is an admin.
    pub is_admin: bool,
    /// Whether its address is verified.
    pub email_verified: bool,
    /// Whether an admin removed its factors since the last sign-in.
    pub factors_reset: bool,
}

/// Who must have a second factor. The variable `MFA`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mfa {
    /// Nobody.
    Optional,
    /// Admins.
    Admins,
    /// Everybody.
    Required,
}

/// The rules of a deployment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Who must have a second factor.
    pub mfa: Mfa,
    /// Whether the service sends mails. If not, no sign-in needs a code from a mail.
    pub sends_mails: bool,
    /// Whether addresses must be verified.
    pub requires_verified_email: bool,
}

impl Policy {
    /// Whether an account must have a second factor.
    #[must_use]
    pub fn requires_factor(&self, is_admin: bool) -> bool {
        match self.mfa {
            Mfa::Optional => false,
            Mfa::Admins => is_admin,
            Mfa::Required => true,
        }
    }
}

/// The next step of a sign-in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NextStep {
    /// A session begins.
    Begin {
        /// The authentication methods: `amr` values, separated by spaces.
        amr: String,
    },
    /// A password, a code from a mail or a passkey is needed first.
    NeedsProof,
    /// A second factor is needed.
    NeedsSecondFactor {
        /// Those that would be accepted.
        methods: Vec<Method>,
    },
    /// A code from a mail is needed beside the other proofs.
    NeedsVerifiedEmail,
    /// The user must enrol a second factor before a session begins.
    NeedsEnrolment,
}

/// Decides the next step after the proofs of one sign-in or one step-up.
#[must_use]
pub fn next_step(proofs: &[Method], account: &Account, policy: &Policy) -> NextStep {
    use Method::{Email, Passkey, Password, RecoveryCode, Totp};
    let has = |method: Method| proofs.contains(&method);
    if ![Password, Email, Passkey].into_iter().any(has) {
        return NextStep::NeedsProof;
    }
    let has_two_factors = has(Passkey) || (has(Password) && (has(Totp) || has(RecoveryCode)));
    let must_enrol = policy.requires_factor(account.is_admin) && !account.factors.any() && !has_two_factors;
    let must_verify = policy.requires_verified_email && !account.email_verified;
    // Whoever knows only the password must not enrol their own factor. The mailbox comes before the second factor, because a sign-in
    // remembers that it was proved.
    if policy.sends_mails && !has(Email) && (must_enrol || must_verify || account.factors_reset) {
        return NextStep::NeedsVerifiedEmail;
    }
    // A recovery by mail is worth less than two factors.
    let may_recover = !policy.requires_factor(account.is_admin);
    let recovers = may_recover && has(Email) && has(RecoveryCode);
    if account.factors.any() && !has_two_factors && !recovers {
        // A mailbox proves nothing that an authenticator app would complete.
        let offers_totp = account.factors.totp && has(Password);
        let offers_recovery = has(Password) || may_recover;
        let methods = [(Passkey, account.factors.passkey), (Totp, offers_totp), (RecoveryCode, offers_recovery)];
        let methods: Vec<_> = methods.into_iter().filter(|(_, offers)| *offers).map(|(method, _)| method).collect();
        return if methods.is_empty() { NextStep::NeedsProof } else { NextStep::NeedsSecondFactor { methods } };
    }
    if must_enrol {
        return NextStep::NeedsEnrolment;
    }
    let methods = Method::ALL.into_iter().filter(|method| has(*method));
    let amr: Vec<_> = methods.flat_map(Method::amr).copied().chain(has_two_factors.then_some(TWO_FACTORS)).collect();
    NextStep::Begin { amr: amr.join(" ") }
}

/// Whether an account keeps a way to sign in that the policy accepts, once it has lost a passkey. `account`: what it is then.
#[must_use]
pub fn may_lose_passkey(account: &Account, policy: &Policy, has_password: bool, email_login: bool) -> bool {
    if policy.requires_factor(account.is_admin) && !account.factors.any() {
        return false;
    }
    let begins_with_email = matches!(next_step(&[Method::Email], account, policy), NextStep::Begin { .. });
    account.factors.passkey || has_password || (email_login && begins_with_email)
}

#[cfg(test)]
mod tests {
    use super::Method::{Email, Passkey, Password, RecoveryCode, Totp};
    use super::{Account, Assurance, Factors, Method, Mfa, NextStep, Policy, may_lose_passkey, next_step};

    /// Every subset of the methods.
    fn all_proofs() -> impl Iterator<Item = Vec<Method>> {
        (0..32_u32).map(|bits| {
            Method::ALL
                .into_iter()
                .enumerate()
                .filter(|(n, _)| bits & (1 << n) != 0)
                .map(|(_, method)| method)
                .collect()
        })
    }

    fn all_accounts() -> impl Iterator<Item = Account> {
        (0..32_u32).map(|bits| {
            let bit = |n: u32| bits & (1 << n) != 0;
            let factors = Factors { totp: bit(0), passkey: bit(1) };
            Account { factors, is_admin: bit(2), email_verified: bit(3), factors_reset: bit(4) }
        })
    }

    fn all_policies() -> impl Iterator<Item = Policy> {
        [Mfa::Optional, Mfa::Admins, Mfa::Required].into_iter().flat_map(|mfa| {
            [(false, false), (true, false), (true, true)].map(|(sends_mails, requires_verified_email)| Policy {
                mfa,
                sends_mails,
                requires_verified_email,
            })
        })
    }

    const OPTIONAL: Policy = Policy { mfa: Mfa::Optional, sends_mails: false, requires_verified_email: false };

    fn begins(amr: &str) -> NextStep {
        NextStep::Begin { amr: amr.to_owned() }
    }

    fn each(check: impl Fn(&[Method], &Account, &Policy, &NextStep)) {
        for proofs in all_proofs() {
            for account in all_accounts() {
                for policy in all_policies() {
                    check(&proofs, &account, &policy, &next_step(&proofs, &account, &policy));
                }
            }
        }
    }

    #[test]
    fn without_factors_one_proof_is_sufficient() {
        let account = Account::default();
        for (proofs, amr) in [(Password, "pwd"), (Email, "email"), (Passkey, "pop user mfa")] {
            assert_eq!(next_step(&[proofs], &account, &OPTIONAL), begins(amr));
        }
        for proofs in [&[][..], &[Totp], &[RecoveryCode], &[Totp, RecoveryCode]] {
            assert_eq!(next_step(proofs, &account, &OPTIONAL), NextStep::NeedsProof);
        }
    }

    #[test]
    fn amr_and_assurance_of_each_way_in() {
        let account = Account { factors: Factors { totp: true, passkey: true }, ..Account::default() };
        for (proofs, amr, assurance) in [
            (&[Password, Totp][..], "pwd otp mfa", Some(Assurance::Aal2)),
            (&[Password, RecoveryCode], "pwd recovery_code mfa", Some(Assurance::Aal2)),
            (&[Passkey], "pop user mfa", Some(Assurance::Aal2)),
            (&[Password, Passkey], "pwd pop user mfa", Some(Assurance::Aal2)),
            (&[Email, RecoveryCode], "email recovery_code", None),
        ] {
            assert_eq!(next_step(proofs, &account, &OPTIONAL), begins(amr));
            assert_eq!(Assurance::of_amr(amr.split(' ')), assurance);
            assert_eq!(Method::parse_amr(amr), proofs);
        }
        assert_eq!(Assurance::of_amr(["pwd"].into_iter()), Some(Assurance::Aal1));
        assert_eq!(Assurance::of_amr(["email"].into_iter()), None);
        assert_eq!(Method::parse_amr("mfa other"), []);
    }

    #[test]
    fn with_a_factor_neither_a_password_nor_a_mailbox_is_sufficient() {
        each(|proofs, account, _, step| {
            let strong = proofs.contains(&Passkey)
                || (proofs.contains(&Password) && (proofs.contains(&Totp) || proofs.contains(&RecoveryCode)))
                || (proofs.contains(&Email) && proofs.contains(&RecoveryCode));
            if account.factors.any() && matches!(step, NextStep::Begin { .. }) {
                assert!(strong, "{proofs:?}");
            }
            if account.factors.any() && !strong {
                let is_refused = matches!(
                    step,
                    NextStep::NeedsProof | NextStep::NeedsSecondFactor { .. } | NextStep::NeedsVerifiedEmail
                );
                assert!(is_refused, "{proofs:?}");
            }
        });
    }

    #[test]
    fn the_accepted_second_factors_complete_the_sign_in() {
        each(|proofs, account, policy, step| {
            if let NextStep::NeedsSecondFactor { methods } = step {
                assert!(account.factors.any() && !methods.is_empty());
                assert!(methods.contains(&RecoveryCode) || !proofs.contains(&Password));
                for method in methods {
                    let proofs = [proofs, &[*method]].concat();
                    let next = next_step(&proofs, account, policy);
                    assert!(matches!(next, NextStep::Begin { .. }), "{next:?}");
                }
            }
        });
        let account = Account { factors: Factors { totp: true, passkey: false }, ..Account::default() };
        let needs = |methods: &[Method]| NextStep::NeedsSecondFactor { methods: methods.to_vec() };
        assert_eq!(next_step(&[Password], &account, &OPTIONAL), needs(&[Totp, RecoveryCode]));
        assert_eq!(next_step(&[Email], &account, &OPTIONAL), needs(&[RecoveryCode]));
        assert_eq!(next_step(&[Email, Totp], &account, &OPTIONAL), needs(&[RecoveryCode]));
        let account = Account { factors: Factors { totp: false, passkey: true }, ..Account::default() };
        assert_eq!(next_step(&[Password], &account, &OPTIONAL), needs(&[Passkey, RecoveryCode]));
    }

    #[test]
    fn no_session_begins_below_what_the_policy_requires() {
        each(|proofs, account, policy, step| {
            if let NextStep::Begin { amr } = step {
                let assurance = Assurance::of_amr(amr.split(' '));
                if policy.requires_factor(account.is_admin) {
                    assert_eq!(assurance, Some(Assurance::Aal2), "{proofs:?}");
                }
            }
            if *step == NextStep::NeedsEnrolment {
                assert!(policy.requires_factor(account.is_admin) && !account.factors.any());
                assert!(
                    !policy.sends_mails || proofs.contains(&Email),
                    "enrolment needs the mailbox where there is mail"
                );
            }
        });
    }

    #[test]
    fn a_mailbox_is_asked_for_only_where_there_is_mail_and_it_is_missing() {
        each(|proofs, account, policy, step| {
            if *step == NextStep::NeedsVerifiedEmail {
                assert!(policy.sends_mails && !proofs.contains(&Email));
                let next = next_step(&[proofs, &[Email]].concat(), account, policy);
                assert_ne!(next, NextStep::NeedsVerifiedEmail);
            }
            if matches!(step, NextStep::Begin { .. }) && policy.sends_mails && !proofs.contains(&Email) {
                assert!(!account.factors_reset);
                assert!(account.email_verified || !policy.requires_verified_email);
            }
        });
    }

    /// The table in docs/security.md: proofs, and what they are sufficient for.
    #[test]
    fn the_documented_table_is_what_the_rules_say() {
        const PAGE: &str = include_str!("../../../docs/security.md");
        let proof = |name: &str| match name {
            "password" => Password,
            "code from a mail" => Email,
            "code of an app" => Totp,
            "recovery code" => RecoveryCode,
            "passkey" => Passkey,
            _ => panic!("{name}"),
        };
        let (_, table) = PAGE.split_once("| proofs | without a factor | with an app | with a passkey |\n").unwrap();
        let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
        let mut documented = Vec::new();
        for row in rows {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            let proofs: Vec<_> = cells[0].split(", ").map(proof).collect();
            let factors = [(false, false), (true, false), (false, true)];
            for (cell, (totp, passkey)) in cells[1..].iter().zip(factors) {
                let account = Account { factors: Factors { totp, passkey }, ..Account::default() };
                let answer = match next_step(&proofs, &account, &OPTIONAL) {
                    NextStep::Begin { amr } => {
                        let acr = Assurance::of_amr(amr.split(' ')).map_or("none", Assurance::as_str);
                        format!("`{amr}`, {acr}")
                    }
                    NextStep::NeedsSecondFactor { .. } => "`mfa_required`".to_owned(),
                    step => panic!("{row}: {step:?}"),
                };
                // A cell is empty if the account cannot give the proofs.
                let is_possible = (totp || !proofs.contains(&Totp))
                    && (passkey || !proofs.contains(&Passkey))
                    && (account.factors.any() || !proofs.contains(&RecoveryCode));
                assert_eq!(*cell, if is_possible { answer.as_str() } else { "" }, "{row}");
            }
            documented.push(proofs);
        }
        assert_eq!(documented.len(), 8);
        for method in Method::ALL {
            assert!(documented.iter().any(|proofs| proofs.contains(&method)), "{method:?}");
        }
    }

    #[test]
    fn the_last_way_to_sign_in_stays() {
        let none = Account::default();
        let with = |totp, passkey| Account { factors: Factors { totp, passkey }, ..none };
        let required = Policy { mfa: Mfa::Required, ..OPTIONAL };
        for (account, policy, has_password, email_login, expected) in [
            (none, OPTIONAL, false, false, false),
            (none, OPTIONAL, true, false, true),
            (none, OPTIONAL, false, true, true),
            (with(false, true), OPTIONAL, false, false, true),
            // A mailbox is not sufficient beside an authenticator app.
            (with(true, false), OPTIONAL, false, true, false),
            (with(true, false), OPTIONAL, true, false, true),
            (none, required, true, true, false),
            (with(true, false), required, true, false, true),
            (with(false, true), required, false, false, true),
        ] {
            let may = may_lose_passkey(&account, &policy, has_password, email_login);
            assert_eq!(may, expected, "{account:?} {policy:?} {has_password} {email_login}");
        }
    }

    #[test]
    fn more_proofs_never_need_more() {
        each(|proofs, account, policy, step| {
            if matches!(step, NextStep::Begin { .. }) {
                for method in Method::ALL {
                    let more = next_step(&[proofs, &[method]].concat(), account, policy);
                    assert!(matches!(more, NextStep::Begin { .. }), "{proofs:?} and {method:?}");
                }
            }
        });
    }
}
