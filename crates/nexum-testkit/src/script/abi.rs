//! Logs and answers to calls from signatures and values, as an author knows them from Solidity.

use alloy_dyn_abi::{DynSolType, DynSolValue, Specifier as _};
use alloy_json_abi::{Event, Function, Param};
use alloy_primitives::{Address, B256, Bytes, hex};

use super::{
    lexer::{Word, split_list},
    words::{ScriptProblem, address},
};
use crate::{CallAnswer, CallInput, NewLog};

/// The most topics that a log has.
const MAX_TOPICS: usize = 4;

pub(super) const EMIT: &str = "emit <address> <event signature> <value> …";
pub(super) const CALL: &str = "call <address> <function signature> [<argument> …] = <value> …, or reverts [\"<reason>\"] in the place of '= <value> …'";

/// `<address> <event signature> <value> …`: one value for each of the event's arguments.
pub(super) fn emit(words: &[Word]) -> Result<NewLog, ScriptProblem> {
    let [emitter, signature, values @ ..] = words else {
        return Err(ScriptProblem::Form(EMIT));
    };
    let address = address(&emitter.text)?;
    let event = event(&signature.text)?;
    let names = event.inputs.iter().map(|input| input.name.as_str());
    let types = event.inputs.iter().map(|input| {
        let named = input.selector_type();
        abi_type(input.resolve().ok(), &named)
    });
    let types = types.collect::<Result<Vec<_>, _>>()?;
    let values = values_of(&types, names, values)?;
    let mut topics: Vec<B256> = Vec::new();
    if !event.anonymous {
        topics.push(event.selector());
    }
    let mut data = Vec::new();
    for (input, value) in event.inputs.iter().zip(values) {
        if input.indexed {
            topics.push(value.encode_topic());
        } else {
            data.push(value);
        }
    }
    if topics.len() > MAX_TOPICS {
        return Err(ScriptProblem::Topics);
    }
    Ok(NewLog {
        address,
        topics,
        data: DynSolValue::Tuple(data).abi_encode_params().into(),
    })
}

/// `<address> <function> [<argument> …]`, then `= <value> …` or `reverts [<reason>]`.
pub(super) fn call(words: &[Word]) -> Result<(Address, CallInput, CallAnswer), ScriptProblem> {
    const FORM: ScriptProblem = ScriptProblem::Form(CALL);
    let end = words
        .iter()
        .position(|word| word.is("=") || word.is("reverts"));
    let (asked, answer) = words.split_at(end.ok_or(FORM)?);
    let [to, function, arguments @ ..] = asked else {
        return Err(FORM);
    };
    let to = address(&to.text)?;
    if function.text.starts_with("0x") {
        return match (arguments, answer) {
            ([], [equals, value]) if equals.is("=") => {
                let returned = bytes(&value.text)?.into();
                Ok((
                    to,
                    raw_input(&function.text)?,
                    CallAnswer::Returns(returned),
                ))
            }
            ([], [_, reason @ ..]) => Ok((to, raw_input(&function.text)?, reverts(reason)?)),
            _ => Err(FORM),
        };
    }
    let (function, arguments) = function_of(function, arguments)?;
    let input = match arguments {
        [] => CallInput::Selector(*function.selector()),
        values => {
            let arguments = encoded(&function.inputs, values)?;
            let mut input = function.selector().to_vec();
            input.extend(arguments);
            CallInput::Exact(input.into())
        }
    };
    let answer = match answer {
        [word, values @ ..] if word.is("=") => {
            if function.outputs.is_empty() && !values.is_empty() {
                return Err(ScriptProblem::NoReturns);
            }
            CallAnswer::Returns(encoded(&function.outputs, values)?.into())
        }
        [_, reason @ ..] => reverts(reason)?,
        [] => return Err(FORM),
    };
    Ok((to, input, answer))
}

fn reverts(reason: &[Word]) -> Result<CallAnswer, ScriptProblem> {
    match reason {
        [] => Ok(CallAnswer::Reverts {
            reason: None,
            data: Bytes::new(),
        }),
        // A custom error of the contract: its selector and its arguments.
        [data] if !data.is_quoted && data.text.starts_with("0x") => Ok(CallAnswer::Reverts {
            reason: None,
            data: bytes(&data.text)?.into(),
        }),
        [reason] => Ok(CallAnswer::reverts(&reason.text)),
        _ => Err(ScriptProblem::Form(CALL)),
    }
}

/// Four bytes stand for a function; more are the whole input.
fn raw_input(text: &str) -> Result<CallInput, ScriptProblem> {
    let input = bytes(text)?;
    Ok(match <[u8; 4]>::try_from(input.as_slice()) {
        Ok(selector) => CallInput::Selector(selector),
        Err(_) => CallInput::Exact(input.into()),
    })
}

fn bytes(text: &str) -> Result<Vec<u8>, ScriptProblem> {
    text.strip_prefix("0x")
        .and_then(|digits| hex::decode(digits).ok())
        .ok_or_else(|| ScriptProblem::Bytes(text.to_owned()))
}

fn event(text: &str) -> Result<Event, ScriptProblem> {
    let declaration = text.trim().trim_end_matches(';');
    Event::parse(declaration)
        .ok()
        // The parser takes a name with a dot for a type of one byte.
        .filter(|_| !text.contains('.'))
        .ok_or_else(|| ScriptProblem::EventSignature(text.to_owned()))
}

/// The function, whose declaration may go on behind its first word, and the words after it.
fn function_of<'a>(
    first: &Word,
    mut rest: &'a [Word],
) -> Result<(Function, &'a [Word]), ScriptProblem> {
    let mut declaration = first.text.trim().trim_end_matches(';').to_owned();
    loop {
        rest = match rest {
            [returns, types, after @ ..] if returns.is("returns") => {
                declaration += &format!(" returns {}", types.text);
                after
            }
            [word, after @ ..]
                if ["external", "public", "view", "pure", "payable"]
                    .iter()
                    .any(|modifier| word.is(modifier)) =>
            {
                declaration += &format!(" {}", word.text);
                after
            }
            _ => break,
        };
    }
    let function = Function::parse(&declaration)
        .ok()
        .filter(|_| !declaration.contains('.'))
        .ok_or(ScriptProblem::FunctionSignature(declaration))?;
    Ok((function, rest))
}

/// Values for these parameters, encoded as the arguments of a call and its results are.
fn encoded(parameters: &[Param], values: &[Word]) -> Result<Vec<u8>, ScriptProblem> {
    let types = parameters.iter().map(|parameter| {
        let named = parameter.selector_type();
        abi_type(parameter.resolve().ok(), &named)
    });
    let types = types.collect::<Result<Vec<_>, _>>()?;
    let names = parameters.iter().map(|parameter| parameter.name.as_str());
    let values = values_of(&types, names, values)?;
    Ok(DynSolValue::Tuple(values).abi_encode_params())
}

/// A type whose name is the ABI's own: any other makes a signature that no contract has.
fn abi_type(resolved: Option<DynSolType>, named: &str) -> Result<DynSolType, ScriptProblem> {
    resolved
        .filter(|resolved| resolved.sol_type_name() == named)
        .ok_or_else(|| ScriptProblem::Type(named.to_owned()))
}

fn values_of<'a>(
    types: &[DynSolType],
    names: impl Iterator<Item = &'a str>,
    words: &[Word],
) -> Result<Vec<DynSolValue>, ScriptProblem> {
    let texts = with_units(words);
    if texts.len() != types.len() {
        let types: Vec<_> = types
            .iter()
            .map(|one| one.sol_type_name().into_owned())
            .collect();
        return Err(ScriptProblem::Values {
            found: texts.len(),
            types: types.join(", "),
            wanted: types.len(),
        });
    }
    types
        .iter()
        .zip(names)
        .zip(texts)
        .map(|((wanted, name), text)| {
            value(wanted, &text).ok_or_else(|| ScriptProblem::Value {
                text,
                wanted: wanted.sol_type_name().into_owned(),
                name: name.to_owned(),
            })
        })
        .collect()
}

/// One text for each value: an amount takes its unit along.
fn with_units(words: &[Word]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for word in words {
        match texts.last_mut() {
            Some(amount)
                if ["wei", "gwei", "ether"].iter().any(|unit| word.is(unit))
                    && amount.ends_with(|last: char| last.is_ascii_digit()) =>
            {
                amount.push(' ');
                amount.push_str(&word.text);
            }
            _ => texts.push(word.text.clone()),
        }
    }
    texts
}

/// A value of a type; `None` where the text is none.
fn value(wanted: &DynSolType, text: &str) -> Option<DynSolValue> {
    match wanted {
        // Short ones are filled with zeros, as everywhere in a script.
        DynSolType::Address => address(text).ok().map(DynSolValue::Address),
        DynSolType::String => Some(DynSolValue::String(text.to_owned())),
        DynSolType::Bytes => bytes(text).ok().map(DynSolValue::Bytes),
        DynSolType::Array(element) => {
            let elements = elements(text, '[', ']')?;
            let values = elements.iter().map(|text| value(element, text));
            Some(DynSolValue::Array(values.collect::<Option<_>>()?))
        }
        DynSolType::FixedArray(element, length) => {
            let elements = elements(text, '[', ']')?;
            if elements.len() != *length {
                return None;
            }
            let values = elements.iter().map(|text| value(element, text));
            Some(DynSolValue::FixedArray(values.collect::<Option<_>>()?))
        }
        DynSolType::Tuple(types) => {
            let elements = elements(text, '(', ')')?;
            if elements.len() != types.len() {
                return None;
            }
            let values = types
                .iter()
                .zip(&elements)
                .map(|(wanted, text)| value(wanted, text));
            Some(DynSolValue::Tuple(values.collect::<Option<_>>()?))
        }
        _ => wanted.coerce_str(text).ok(),
    }
}

/// The elements of a list in brackets, without the quotes around those that have some.
fn elements(text: &str, open: char, close: char) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix(open)?.strip_suffix(close)?;
    let elements = split_list(inner)?.into_iter();
    Some(elements.map(|element| element.text).collect())
}
