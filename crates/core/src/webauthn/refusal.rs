//! Why a ceremony is refused.

/// The check that failed. The client learns only that the passkey is refused; the reason is for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasskeyRefusal {
    /// No account has the credential.
    UnknownCredential,
    /// The credential is not one of the user who is signing in.
    OtherUser,
    /// The response names no user.
    NoUserHandle,
    /// The response names another user than the owner of the credential.
    UserHandle,
    /// The client data is not JSON of the required form.
    ClientData,
    /// The client data is of the other ceremony.
    Type,
    /// The server did not issue the challenge.
    Challenge,
    /// The challenge has expired.
    ChallengeExpired,
    /// The challenge was issued before `SESSIONS_NOT_BEFORE`.
    ChallengeTooEarly,
    /// The challenge was issued for another purpose, user or session.
    ChallengePurpose,
    /// The page is of an origin that is not configured.
    Origin,
    /// The page is in a frame of another origin.
    CrossOrigin,
    /// The page is in a frame, and the client data names the page around it.
    TopOrigin,
    /// The attestation object is not canonical CBOR of the required form.
    AttestationObject,
    /// The authenticator data does not have the required form.
    AuthenticatorData,
    /// The authenticator data has no credential.
    NoCredential,
    /// The credential belongs to another relying party.
    RpId,
    /// The user was not present.
    UserPresence,
    /// The authenticator did not verify the user.
    UserVerification,
    /// The credential is backed up but must not be.
    BackupState,
    /// The credential was eligible for a backup when it was registered and is no longer, or the reverse.
    BackupEligibility,
    /// The public key is of an algorithm that was not offered.
    Algorithm,
    /// The public key is not a canonical `COSE_Key` of the required form.
    PublicKey,
    /// WebCrypto does not import the public key.
    PublicKeyImport,
    /// The attestation is of a format that was not asked for.
    AttestationFormat,
    /// The attestation statement does not have the form of its format, or is of another algorithm than the public key.
    AttestationStatement,
    /// The credential id is empty or too long.
    CredentialIdLength,
    /// The response names another credential id than the authenticator data.
    CredentialId,
    /// The signature does not have the form of its algorithm.
    SignatureForm,
    /// The signature is not valid.
    Signature,
    /// The signature counter went back, so there may be a copy of the authenticator.
    Counter,
}

impl PasskeyRefusal {
    /// The stable name, for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCredential => "unknown_credential",
            Self::OtherUser => "other_user",
            Self::NoUserHandle => "no_user_handle",
            Self::UserHandle => "user_handle",
            Self::ClientData => "client_data",
            Self::Type => "type",
            Self::Challenge => "challenge",
            Self::ChallengeExpired => "challenge_expired",
            Self::ChallengeTooEarly => "sessions_not_before",
            Self::ChallengePurpose => "challenge_purpose",
            Self::Origin => "origin",
            Self::CrossOrigin => "cross_origin",
            Self::TopOrigin => "top_origin",
            Self::AttestationObject => "attestation_object",
            Self::AuthenticatorData => "authenticator_data",
            Self::NoCredential => "no_credential",
            Self::RpId => "rp_id",
            Self::UserPresence => "user_presence",
            Self::UserVerification => "user_verification",
            Self::BackupState => "backup_state",
            Self::BackupEligibility => "backup_eligibility",
            Self::Algorithm => "algorithm",
            Self::PublicKey => "public_key",
            Self::PublicKeyImport => "public_key_import",
            Self::AttestationFormat => "attestation_format",
            Self::AttestationStatement => "attestation_statement",
            Self::CredentialIdLength => "credential_id_length",
            Self::CredentialId => "credential_id",
            Self::SignatureForm => "signature_form",
            Self::Signature => "signature",
            Self::Counter => "counter",
        }
    }
}
