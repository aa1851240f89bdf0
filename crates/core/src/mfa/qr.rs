//! QR codes as SVG images, which refer to nothing outside of them.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// Width of the margin that scanners need around the code, in modules (ISO/IEC 18004 §9.1).
const QUIET_ZONE: i32 = 4;

/// The QR code of a text, dark on white. The page that shows it sets its size. `None` if the text is longer than 2953 bytes.
#[must_use]
pub fn svg(text: &str) -> Option<String> {
    // The library raises the level of error correction as far as the size of the code allows.
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let side = code.size().checked_add(QUIET_ZONE)?.checked_add(QUIET_ZONE)?;
    let mut lines = String::new();
    for y in 0..code.size() {
        let dark: Vec<_> = (0..code.size()).filter(|x| code.get_module(*x, y)).collect();
        for run in dark.chunk_by(|x, next| x.checked_add(1) == Some(*next)) {
            let (left, top) = (run.first()?.checked_add(QUIET_ZONE)?, y.checked_add(QUIET_ZONE)?);
            write!(lines, "M{left} {top}.5h{}", run.len()).ok()?;
        }
    }
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path stroke="#000" d="{lines}"/></svg>"##
    ))
}

#[cfg(test)]
mod tests {
    use super::{QrCode, QrCodeEcc, svg};

    /// The modules of an image, row by row; true is dark.
    fn modules(image: &str) -> Vec<Vec<bool>> {
        let (_, rest) = image.split_once("viewBox=\"0 0 ").unwrap();
        let side: usize = rest.split(' ').next().unwrap().parse().unwrap();
        let mut rows = vec![vec![false; side]; side];
        let (_, path) = image.split_once("stroke=\"#000\" d=\"M").unwrap();
        for line in path.split('"').next().unwrap().split('M') {
            let (x, rest) = line.split_once(' ').unwrap();
            let (y, length) = rest.split_once(".5h").unwrap();
            let (x, y, length): (usize, usize, usize) =
                (x.parse().unwrap(), y.parse().unwrap(), length.parse().unwrap());
            rows[y][x..x + length].fill(true);
        }
        rows
    }

    #[test]
    fn an_image_has_every_module_of_the_code_inside_a_quiet_zone() {
        let text = "otpauth://totp/Acme:a%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme";
        let (code, rows) = (QrCode::encode_text(text, QrCodeEcc::Low).unwrap(), modules(&svg(text).unwrap()));
        assert_eq!(rows.len(), usize::try_from(code.size()).unwrap() + 8);
        for (y, row) in (-4..).zip(&rows) {
            for (x, dark) in (-4..).zip(row) {
                // The library has only light modules outside of the code.
                assert_eq!(*dark, code.get_module(x, y), "{x} {y}");
            }
        }
        let finder: String = rows[6][4..11].iter().map(|dark| if *dark { '#' } else { '.' }).collect();
        assert_eq!(finder, "#.###.#");
    }

    #[test]
    fn the_text_is_only_in_the_modules() {
        let image = svg("</svg><script>\"'&</script>").unwrap();
        assert!(image.starts_with("<svg ") && image.ends_with("</svg>"));
        for part in ["script", "&", "'", "href", "url(", "style"] {
            assert!(!image.contains(part), "{part}");
        }
        assert_eq!(image.matches('<').count(), 4);
    }

    #[test]
    fn a_text_that_is_too_long_has_no_code() {
        assert!(svg(&"a".repeat(2953)).is_some());
        assert_eq!(svg(&"a".repeat(2954)), None);
    }
}
