//! How much a component may consist of for it to be compiled at all.
//!
//! Some kinds of parts cost a compiler far more than their bytes: each level of components within
//! one another, and each function, however empty. A file of a few megabytes would end the process
//! for want of memory. The bounds are far above what toolchains make. How long functions take
//! to compile is the matter of [`work`](crate::work).

use wasmtime::wasmparser::{Parser, Payload};

use crate::load::LoadError;

/// Components within one another, the outermost included.
const MAX_LEVELS: usize = 32;
/// Components and core modules within it.
const MAX_PARTS: usize = 1_000;
/// Functions of all core modules together.
const MAX_FUNCTIONS: usize = 100_000;

/// Counts without looking into functions, and stops at the first count that is too high.
pub(crate) fn check(component: &[u8]) -> Result<(), LoadError> {
    let (mut levels, mut parts, mut functions) = (0_usize, 0_usize, 0_usize);
    for payload in Parser::new(0).parse_all(component) {
        // The compiler has the same parser, and says better what is wrong.
        let Ok(payload) = payload else { return Ok(()) };
        match payload {
            Payload::Version { .. } => levels += 1,
            Payload::End(_) => levels = levels.saturating_sub(1),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => parts += 1,
            Payload::FunctionSection(section) => {
                functions = functions.saturating_add(section.count() as usize);
            }
            _ => {}
        }
        let counts = [
            (levels, MAX_LEVELS, "components within one another"),
            (parts, MAX_PARTS, "components and core modules in it"),
            (functions, MAX_FUNCTIONS, "functions"),
        ];
        if let Some((_, most, what)) = counts.into_iter().find(|(count, most, _)| count > most) {
            return Err(LoadError::TooMuch { what, most });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nexum_testkit::wasm;

    use super::*;

    #[track_caller]
    fn refused(component: &[u8], words: &str) {
        let LoadError::TooMuch { what, .. } = check(component).unwrap_err() else {
            panic!("refused for another reason");
        };
        assert_eq!(what, words);
    }

    #[test]
    fn as_much_as_may_be_and_one_more() {
        assert_eq!(check(&wasm::nested(MAX_LEVELS)), Ok(()));
        refused(
            &wasm::nested(MAX_LEVELS + 1),
            "components within one another",
        );

        let functions = |count| wasm::component(&wasm::module(&vec![wasm::EMPTY_BODY; count]));
        assert_eq!(check(&functions(MAX_FUNCTIONS)), Ok(()));
        refused(&functions(MAX_FUNCTIONS + 1), "functions");

        let parts = |count| wasm::component_of(&vec![wasm::module(&[wasm::EMPTY_BODY]); count]);
        assert_eq!(check(&parts(MAX_PARTS)), Ok(()));
        refused(&parts(MAX_PARTS + 1), "components and core modules in it");
    }

    #[test]
    fn what_does_not_parse_is_counted_up_to_there() {
        let (good, bad) = (wasm::nested(2), wasm::nested(MAX_LEVELS + 1));
        refused(
            &[&bad[..], b"no section"].concat(),
            "components within one another",
        );
        assert_eq!(check(&[&good[..], b"no section"].concat()), Ok(()));
        assert_eq!(check(&bad[..bad.len() / 2]), Ok(()));
    }
}
