//! The test vectors of RFC 9106 and of the reference implementation, phc-winner-argon2.

#![expect(clippy::format_collect, reason = "short strings, in a test")]

use argon2_simd128::{Input, Memory, Params, Variant, Version, hash};

/// RFC 9106 §5, with four lanes, a secret and associated data.
#[test]
fn the_vectors_of_rfc_9106_match() {
    let mut memory = Memory::new();
    for (variant, expected) in [
        (Variant::D, "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb"),
        (Variant::I, "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8"),
        (Variant::Id, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"),
    ] {
        let params = Params { variant, version: Version::V0x13, memory_kib: 32, passes: 3, lanes: 4 };
        let input = Input { password: &[1; 32], salt: &[2; 16], secret: &[3; 8], associated_data: &[4; 12] };
        let mut tag = [0; 32];
        hash(&params, &input, &mut memory, &mut tag).unwrap();
        assert_eq!(hex(&tag), expected, "{variant:?}");
    }
}

/// From src/test.c, except those with 256 MiB or more. A case is t, log2 m, p, password, salt.
#[test]
fn the_vectors_of_the_reference_implementation_match() {
    let base = (2, 16, 1, "password", "somesalt");
    let cases = [
        (2, 8, 1, "password", "somesalt"),
        (2, 8, 2, "password", "somesalt"),
        (1, 16, 1, "password", "somesalt"),
        (4, 16, 1, "password", "somesalt"),
        (2, 16, 1, "differentpassword", "somesalt"),
        (2, 16, 1, "password", "diffsalt"),
    ];
    let mut memory = Memory::new();
    for (variant, version, expected) in [
        (
            Variant::I,
            Version::V0x10,
            [
                "f6c4db4a54e2a370627aff3db6176b94a2a209a62c8e36152711802f7b30c694",
                "fd4dd83d762c49bdeaf57c47bdcd0c2f1babf863fdeb490df63ede9975fccf06",
                "b6c11560a6a9d61eac706b79a2f97d68b4463aa3ad87e00c07e2b01e90c564fb",
                "81630552b8f3b1f48cdb1992c4c678643d490b2b5eb4ff6c4b3438b5621724b2",
                "f212f01615e6eb5d74734dc3ef40ade2d51d052468d8c69440a3a1f2c1c2847b",
                "e9c902074b6754531a3a0be519e5baf404b30ce69b3f01ac3bf21229960109a3",
                "79a103b90fe8aef8570cb31fc8b22259778916f8336b7bdac3892569d4f1c497",
            ],
        ),
        (
            Variant::I,
            Version::V0x13,
            [
                "c1628832147d9720c5bd1cfd61367078729f6dfb6f8fea9ff98158e0d7816ed0",
                "89e9029f4637b295beb027056a7336c414fadd43f6b208645281cb214a56452f",
                "4ff5ce2769a1d7f4c8a491df09d41a9fbe90e5eb02155a13e4c01e20cd4eab61",
                "d168075c4d985e13ebeae560cf8b94c3b5d8a16c51916b6f4ac2da3ac11bbecf",
                "aaa953d58af3706ce3df1aefd4a64a84e31d7f54175231f1285259f88174ce5b",
                "14ae8da01afea8700c2358dcef7c5358d9021282bd88663a4562f59fb74d22ee",
                "b0357cccfbef91f3860b0dba447b2348cbefecadaf990abfe9cc40726c521271",
            ],
        ),
        (
            Variant::Id,
            Version::V0x13,
            [
                "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7",
                "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe",
                "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037",
                "f6a5adc1ba723dddef9b5ac1d464e180fcd9dffc9d1cbf76cca2fed795d9ca98",
                "9025d48e68ef7395cca9079da4c4ec3affb3c8911fe4f86d1a2520856f63172c",
                "0b84d652cf6b0c4beaef0dfe278ba6a80df6696281d7e0d2891b817d8c458fde",
                "bdf32b05ccc42eb15d58fd19b1f856b113da1e9a5874fdcc544308565aa8141c",
            ],
        ),
    ] {
        for (case, expected) in [base].into_iter().chain(cases).zip(expected) {
            let (passes, log2_memory, lanes, password, salt) = case;
            let params = Params { variant, version, memory_kib: 1 << log2_memory, passes, lanes };
            let input = Input { password: password.as_bytes(), salt: salt.as_bytes(), ..Input::default() };
            let mut tag = [0; 32];
            hash(&params, &input, &mut memory, &mut tag).unwrap();
            assert_eq!(hex(&tag), expected, "{variant:?} {version:?} {case:?}");
        }
    }
    assert_eq!(memory.kib(), 65_536);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
