//! Models of authenticators, by which new passkeys are named.

use std::fmt::Write as _;

use crate::mail::device::Device;

/// Those that most passkeys are in, by AAGUID. They do not prove it, so nothing but a name depends on it.
const NAMES: [(u128, &str); 14] = [
    (0xfbfc_3007_154e_4ecc_8c0b_6e02_0557_d7bd, "Apple Passwords"),
    (0xdd4e_c289_e01d_41c9_bb89_70fa_845d_4bf2, "iCloud Keychain"),
    (0xea9b_8d66_4d01_1d21_3ce4_b6b4_8cb5_75d4, "Google Password Manager"),
    (0xadce_0002_35bc_c60a_648b_0b25_f1f0_5503, "Chrome on Mac"),
    (0x0898_7058_cadc_4b81_b6e1_30de_50dc_be96, "Windows Hello"),
    (0x9ddd_1817_af5a_4672_a2b9_3e3d_d950_00a9, "Windows Hello"),
    (0x6028_b017_b1d4_4c02_b4b3_afcd_afc9_6bb2, "Windows Hello"),
    (0x5341_4d53_554e_4700_0000_0000_0000_0000, "Samsung Pass"),
    (0xbada_5566_a7aa_401f_bd96_4561_9a55_120d, "1Password"),
    (0xd548_826e_79b4_db40_a3d8_1111_6f7e_8349, "Bitwarden"),
    (0x5311_26d6_e717_415c_9320_3d9a_a698_1239, "Dashlane"),
    (0x0ea2_42b4_43c4_4a1b_8b17_dd6d_0b6b_aec6, "Keeper"),
    (0xfdb1_41b2_5d84_443e_8a35_4698_c205_a502, "KeePassXC"),
    (0x5072_6f74_6f6e_5061_7373_5072_6f74_6f6e, "Proton Pass"),
];

/// The name of a passkey that the user did not name: that of the authenticator, or of the browser and the system.
#[must_use]
pub fn default_name(aaguid: &[u8; 16], user_agent: Option<&str>) -> String {
    let model = u128::from_be_bytes(*aaguid);
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == model) {
        return (*name).to_owned();
    }
    match user_agent.map(Device::of) {
        Some(Device { browser: Some(browser), system: Some(system) }) => format!("{browser}, {system}"),
        Some(Device { browser: Some(name), .. } | Device { system: Some(name), .. }) => name.to_owned(),
        _ => "Passkey".to_owned(),
    }
}

/// An AAGUID as a UUID.
#[must_use]
pub fn aaguid_text(aaguid: &[u8; 16]) -> String {
    let mut text = String::new();
    for (position, byte) in aaguid.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{NAMES, aaguid_text, default_name};

    #[test]
    fn a_passkey_is_named_for_its_authenticator_or_its_device() {
        let (apple, _) = NAMES[0];
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
        for (aaguid, user_agent, name) in [
            (apple, Some(firefox), "Apple Passwords"),
            (0, Some(firefox), "Firefox, Linux"),
            (1, Some("Mozilla/5.0 (iPad)"), "iPadOS"),
            (0, Some("curl"), "Passkey"),
            (0, None, "Passkey"),
        ] {
            assert_eq!(default_name(&aaguid.to_be_bytes(), user_agent), name);
        }
    }

    #[test]
    fn an_aaguid_is_written_as_a_uuid() {
        let (apple, _) = NAMES[0];
        assert_eq!(aaguid_text(&apple.to_be_bytes()), "fbfc3007-154e-4ecc-8c0b-6e020557d7bd");
        assert_eq!(aaguid_text(&[0; 16]), "00000000-0000-0000-0000-000000000000");
    }
}
