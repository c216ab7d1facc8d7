//! How much work a component may be for the compiler.
//!
//! What the compiler does with a function grows faster than its bytes: with how many values live
//! across how many branches, with loops in loops, and with values that blocks and calls pass on. A
//! component of some kilobytes could take hours, or all of the memory. Here each function is looked
//! at once, in a time that grows with its bytes alone, and gets a weight that the compiler's time
//! was measured to stay below. Nothing is compiled here.

use wasmtime::wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, FuncToValidate, FuncType,
    FuncValidatorAllocations, FunctionBody, Operator, Parser, TryTable, ValidPayload, Validator,
    ValidatorResources, WasmFeatures, WasmModuleResources as _,
};

use crate::load::LoadError;

/// The most that the weights of all functions may come to together: one unit takes a nanosecond or
/// two where it takes most.
const MAX_WEIGHT: u64 = 30_000_000_000;
/// Values that blocks and calls pass on beyond the one that each may: every one of them takes the
/// compiler some kilobytes.
const MAX_PASSED: u64 = 100_000;
/// What a loop weighs beside a branch, for each level of loops around it and its own, squared.
const LOOP_WEIGHT: u64 = 4;

/// What a function, or more of them, would cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cost {
    weight: u64,
    passed: u64,
}

/// Refuses what would be more than may be. What does not validate is refused here as well: the
/// compiler begins with one function before it has seen the next.
pub(crate) fn check(component: &[u8]) -> Result<(), LoadError> {
    let mut total = Cost::default();
    for_each_function(component, |function, cost| {
        total.weight = total.weight.saturating_add(cost.weight);
        total.passed = total.passed.saturating_add(cost.passed);
        if total.passed > MAX_PASSED {
            return Err(LoadError::TooMuch {
                what: "values that blocks and calls pass on beyond one each",
                most: usize::try_from(MAX_PASSED).unwrap_or(usize::MAX),
            });
        }
        if total.weight > MAX_WEIGHT {
            return Err(LoadError::TooHeavy {
                function,
                weight: cost.weight,
                most: MAX_WEIGHT,
            });
        }
        Ok(())
    })
}

/// Hands on each function's number within its module, and what it would cost.
fn for_each_function(
    component: &[u8],
    mut each: impl FnMut(u32, Cost) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    // Every feature: what the engine does not take, it refuses itself.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut allocations = FuncValidatorAllocations::default();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(invalid)?;
        let valid = validator.payload(&payload).map_err(invalid)?;
        if let ValidPayload::Func(function, body) = valid {
            let index = function.index;
            let cost = cost_of(function, &body, &mut allocations).map_err(invalid)?;
            each(index, cost)?;
        }
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands on")]
fn invalid(error: BinaryReaderError) -> LoadError {
    LoadError::Compile(error.to_string())
}

fn cost_of(
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    allocations: &mut FuncValidatorAllocations,
) -> Result<Cost, BinaryReaderError> {
    let mut validator = function.into_validator(std::mem::take(allocations));
    validator.read_locals(&mut body.get_binary_reader())?;
    let mut operators = body.get_operators_reader()?;
    let mut used = vec![false; validator.len_locals() as usize];
    let (mut branches, mut highest, mut loops) = (0_u64, 0_u32, 0_u64);
    let (mut widest, mut passed) = (0_u64, 0_u64);
    // Of each block that is open, the outermost first: whether it is a loop.
    let mut open: Vec<bool> = Vec::new();
    let mut depth = 0_u64;
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset()?;
        validator.op(offset, &operator)?;
        let types = validator.resources();
        match operator {
            Operator::LocalGet { local_index }
            | Operator::LocalSet { local_index }
            | Operator::LocalTee { local_index } => {
                if let Some(used) = used.get_mut(local_index as usize) {
                    *used = true;
                }
            }
            Operator::Block { blockty }
            | Operator::Loop { blockty }
            | Operator::If { blockty }
            | Operator::TryTable {
                try_table: TryTable { ty: blockty, .. },
            } => {
                let is_loop = matches!(operator, Operator::Loop { .. });
                open.push(is_loop);
                if is_loop {
                    depth += 1;
                    loops = loops.saturating_add(depth * depth);
                }
                widest = widest.max(width(blockty, types));
            }
            Operator::End => depth -= u64::from(open.pop().unwrap_or(false)),
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                let of = types.type_index_of_function(function_index);
                passed = passed.saturating_add(of.map_or(0, |of| results(of, types)));
            }
            Operator::CallIndirect { type_index, .. }
            | Operator::ReturnCallIndirect { type_index, .. }
            | Operator::CallRef { type_index }
            | Operator::ReturnCallRef { type_index } => {
                passed = passed.saturating_add(results(type_index, types));
            }
            _ => {}
        }
        let ways = ways(&operator);
        if ways > 0 {
            branches = branches.saturating_add(ways);
            highest = highest.max(validator.operand_stack_height());
        }
        // Looking further would itself take the memory.
        if passed.saturating_add(branches.saturating_mul(widest)) > MAX_PASSED {
            break;
        }
    }
    *allocations = validator.into_allocations();
    let used = used.into_iter().filter(|used| *used).count() as u64;
    let values = used + u64::from(highest) + 1;
    let crossing = branches.saturating_mul(branches).saturating_mul(values);
    Ok(Cost {
        weight: crossing.saturating_add(loops.saturating_mul(LOOP_WEIGHT)),
        // Each branch may hand on as much as the widest block takes.
        passed: passed.saturating_add(branches.saturating_mul(widest)),
    })
}

/// How many ways control can go on because of an operator, beside the next one.
fn ways(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::BrTable { targets } => u64::from(targets.len()) + 1,
        Operator::TryTable { try_table } => try_table.catches.len() as u64 + 1,
        Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::If { .. }
        | Operator::Else
        | Operator::Br { .. }
        | Operator::BrIf { .. }
        | Operator::BrOnNull { .. }
        | Operator::BrOnNonNull { .. }
        | Operator::BrOnCast { .. }
        | Operator::BrOnCastFail { .. } => 1,
        _ => 0,
    }
}

/// The values beyond one that a block takes and leaves.
fn width(block: BlockType, types: &ValidatorResources) -> u64 {
    let BlockType::FuncType(index) = block else {
        return 0;
    };
    func(index, types).map_or(0, |of| {
        (of.params().len() + of.results().len()).saturating_sub(1) as u64
    })
}

/// The values beyond one that a call leaves.
fn results(index: u32, types: &ValidatorResources) -> u64 {
    func(index, types).map_or(0, |of| of.results().len().saturating_sub(1) as u64)
}

fn func(index: u32, types: &ValidatorResources) -> Option<&FuncType> {
    match &types.sub_type_at(index)?.composite_type.inner {
        CompositeInnerType::Func(of) => Some(of),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nexum_testkit::{guests, wasm};

    use super::*;

    fn total(component: &[u8]) -> Cost {
        let mut total = Cost::default();
        for_each_function(component, |_, cost| {
            total.weight += cost.weight;
            total.passed += cost.passed;
            Ok(())
        })
        .unwrap();
        total
    }

    fn component(bodies: &[Vec<u8>]) -> Vec<u8> {
        wasm::component(&wasm::module(bodies))
    }

    #[test]
    fn a_function_weighs_its_branches_squared_times_what_lives_across_them() {
        let weight =
            |branches, values| total(&component(&[wasm::branches(branches, values)])).weight;
        // One value more: what each branch decides on.
        assert_eq!(weight(10, 5), 10 * 10 * (5 + 1));
        assert_eq!(weight(20, 5), 20 * 20 * (5 + 1));
        assert_eq!(weight(20, 10), 20 * 20 * (10 + 1));
        let twice = component(&[wasm::branches(10, 5), wasm::branches(10, 5)]);
        assert_eq!(total(&twice).weight, 2 * weight(10, 5));
    }

    #[test]
    fn loops_weigh_more_the_deeper_they_are() {
        let weight = |loops| total(&component(&[wasm::nested_loops(loops)])).weight;
        assert_eq!(weight(1), 2 * 2 + LOOP_WEIGHT);
        assert_eq!(weight(3), 6 * 6 + LOOP_WEIGHT * (1 + 4 + 9));
    }

    #[test]
    fn what_calls_pass_on_is_counted_beyond_one_each() {
        let passed = |calls, results| total(&wasm::component(&wasm::calls(calls, results))).passed;
        assert_eq!((passed(7, 1), passed(7, 3)), (0, 14));
    }

    /// Each is some kilobytes, and would take the compiler very long, or very much memory.
    #[test]
    fn what_is_too_much_is_refused_and_a_little_less_is_not() {
        let heavy = |body| check(&component(&[body]));
        let is_refused = |checked| matches!(checked, Err(LoadError::TooHeavy { function: 0, .. }));
        assert!(is_refused(heavy(wasm::nested_loops(2_900))));
        assert_eq!(heavy(wasm::nested_loops(2_700)), Ok(()));
        assert!(is_refused(heavy(wasm::branches(8_000, 500))));
        assert_eq!(heavy(wasm::branches(7_500, 500)), Ok(()));

        // As many as fit into a function.
        let most = wasm::component(&wasm::calls(3_000_000, 1_000));
        assert!(matches!(check(&most), Err(LoadError::TooMuch { .. })));
        let calls = |count| check(&wasm::component(&wasm::calls(count, 1_000)));
        assert_eq!(calls(100), Ok(()));
        let Err(LoadError::TooMuch { most, .. }) = calls(101) else {
            panic!("not refused");
        };
        assert_eq!(most, 100_000);
    }

    /// Many that are fine alone, and one that ends before it is whole behind them.
    #[test]
    fn all_functions_count_together_and_what_comes_before_an_error_does() {
        let many = vec![wasm::branches(1_000, 500); 60];
        assert_eq!(check(&component(&many[..59])), Ok(()));
        let Err(LoadError::TooHeavy { function, .. }) = check(&component(&many)) else {
            panic!("not refused");
        };
        assert_eq!(function, 59);
        let broken = component(&[vec![0, 0x0c], wasm::nested_loops(30_000)]);
        assert!(matches!(check(&broken), Err(LoadError::Compile(_))));
    }

    /// What toolchains make is far below.
    #[test]
    fn a_real_module_weighs_little() {
        let path = guests::module("balance-watch").unwrap();
        let Cost { weight, passed } = total(&fs::read(path).unwrap());
        assert!(weight > 0 && weight < MAX_WEIGHT / 100, "{weight}");
        assert_eq!(passed, 0);
    }
}
