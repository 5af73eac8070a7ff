/// The grade of a product, 100 (best) to 5, from numbers of findings that are active, no duplicates and no
/// false positives; those of severity Info don't count.
///
/// The numbers are those of `grade_product` in DefectDojo's `dojo/utils.py`, its default: the worst severity
/// that there is sets where it starts (40, 60, 80, 95), and each finding but the first of a severity takes 5, 3
/// or 2 off; every low one takes 1, the first too.
pub fn grade(critical: u64, high: u64, medium: u64, low: u64) -> u8 {
    const BEST: u64 = 100;
    let mut health = BEST;
    for (n, start, step) in [(critical, 40, 5), (high, 60, 3), (medium, 80, 2)] {
        if n > 0 {
            if health == BEST {
                health = start;
            }
            health = health.saturating_sub((n - 1).saturating_mul(step));
        }
    }
    if low > 0 {
        if health == BEST {
            health = 95;
        }
        health = health.saturating_sub(low);
    }
    u8::try_from(health.clamp(5, BEST)).unwrap_or(5)
}

/// From which grade on a product has which letter. The names and defaults are DefectDojo's system settings
/// `product_grade_a` to `product_grade_f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GradeThresholds {
    /// A from here; default 90.
    pub a: u8,
    /// B from here; default 80.
    pub b: u8,
    /// C from here; default 70.
    pub c: u8,
    /// D from here; default 60.
    pub d: u8,
    /// F up to here; default 59.
    pub f: u8,
}

impl Default for GradeThresholds {
    fn default() -> Self {
        Self {
            a: 90,
            b: 80,
            c: 70,
            d: 60,
            f: 59,
        }
    }
}

/// The letter of a grade, A to D or F; `None` where the thresholds leave a gap between D and F, as the template
/// filter `product_grade` of DefectDojo leaves it empty.
pub const fn letter(grade: u8, thresholds: GradeThresholds) -> Option<char> {
    if grade >= thresholds.a {
        Some('A')
    } else if grade >= thresholds.b {
        Some('B')
    } else if grade >= thresholds.c {
        Some('C')
    } else if grade >= thresholds.d {
        Some('D')
    } else if grade <= thresholds.f {
        Some('F')
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_are_those_of_defectdojo() {
        for ((critical, high, medium, low), expected) in [
            ((0, 0, 0, 0), 100),
            ((1, 0, 0, 0), 40),
            ((2, 0, 0, 0), 35),
            ((8, 0, 0, 0), 5),
            ((9, 0, 0, 0), 5),
            ((0, 1, 0, 0), 60),
            ((0, 3, 0, 0), 54),
            ((0, 0, 1, 0), 80),
            ((0, 0, 5, 0), 72),
            ((0, 0, 0, 1), 94),
            ((0, 0, 0, 10), 85),
            // the first of a less bad severity takes nothing off, unless it is low
            ((1, 1, 1, 0), 40),
            ((1, 1, 1, 1), 39),
            ((2, 2, 2, 2), 28),
            ((0, 2, 3, 4), 49),
            ((0, 0, 0, 200), 5),
            ((u64::MAX, u64::MAX, u64::MAX, u64::MAX), 5),
        ] {
            assert_eq!(
                grade(critical, high, medium, low),
                expected,
                "{critical} {high} {medium} {low}"
            );
        }
    }

    #[test]
    fn letters_have_their_bounds() {
        for (grade, expected) in [
            (100, 'A'),
            (90, 'A'),
            (89, 'B'),
            (80, 'B'),
            (79, 'C'),
            (70, 'C'),
            (69, 'D'),
            (60, 'D'),
            (59, 'F'),
            (5, 'F'),
        ] {
            let thresholds = GradeThresholds::default();
            assert_eq!(letter(grade, thresholds), Some(expected), "{grade}");
        }
        let gap = GradeThresholds {
            f: 40,
            ..GradeThresholds::default()
        };
        assert_eq!(letter(50, gap), None);
        assert_eq!(letter(40, gap), Some('F'));
    }
}
