//! Answers made wrong. Text in, text out: the same for a scripted chain and for a node behind the
//! proxy.

use serde_json::{Value, json};

use super::Fault;

/// The answer as the fault leaves it. Faults of the wire itself leave the text alone.
pub(crate) fn distort(fault: &Fault, answer: &str) -> String {
    let change: fn(&mut Value) = match fault {
        Fault::Garbage => return "<!doctype html><title>it works</title>".into(),
        Fault::Truncated => return half(answer).to_owned(),
        Fault::DuplicateId => |answer| {
            if let Some(answers) = answer.as_array_mut()
                && let Some(first) = answers.first().cloned()
            {
                answers.push(first);
            }
        },
        Fault::MissingAnswer => |answer| {
            answer.as_array_mut().and_then(Vec::pop);
        },
        Fault::Reordered => |answer| {
            if let Some(answers) = answer.as_array_mut() {
                answers.reverse();
            }
        },
        Fault::ForeignId => |answer| each(answer, |one| one["id"] = json!("nobody's")),
        Fault::Null => |answer| each_result(answer, |result| *result = Value::Null),
        Fault::WrongType => {
            |answer| each_result(answer, |result| *result = json!({ "nexum": "testkit" }))
        }
        Fault::LogsOfAnotherBlock => |answer| each_log(answer, |log| flip(&mut log["blockHash"])),
        Fault::LogsOutOfRange => |answer| {
            each_log(answer, |log| {
                log["blockNumber"] = json!("0xfffffff");
                flip(&mut log["blockHash"]);
            });
        },
        Fault::LogsOutOfOrder => |answer| each_list(answer, |logs| logs.reverse()),
        Fault::LogMissing => |answer| {
            each_list(answer, |logs| {
                logs.pop();
            });
        },
        Fault::WrongParent => |answer| {
            each_result(answer, |block| {
                if block["parentHash"].is_string() {
                    flip(&mut block["parentHash"]);
                }
            });
        },
        Fault::Status { .. }
        | Fault::Cut
        | Fault::Silent
        | Fault::Enormous { .. }
        | Fault::BatchRefused => return answer.to_owned(),
    };
    let Ok(mut json) = serde_json::from_str(answer) else {
        return answer.to_owned();
    };
    change(&mut json);
    json.to_string()
}

/// The first half, cut between two characters.
fn half(text: &str) -> &str {
    &text[..text.floor_char_boundary(text.len() / 2)]
}

/// Every answer: those of a batch, or the one.
fn each(answer: &mut Value, change: impl Fn(&mut Value)) {
    match answer {
        Value::Array(answers) => answers.iter_mut().for_each(change),
        one => change(one),
    }
}

/// Every result, that of a notification included. Errors stay.
fn each_result(answer: &mut Value, change: impl Fn(&mut Value)) {
    each(answer, |one| {
        let holder = if one["params"].is_object() {
            &mut one["params"]
        } else {
            one
        };
        if let Some(result) = holder.get_mut("result") {
            change(result);
        }
    });
}

fn each_list(answer: &mut Value, change: impl Fn(&mut Vec<Value>)) {
    each_result(answer, |result| {
        if let Some(list) = result.as_array_mut() {
            change(list);
        }
    });
}

fn each_log(answer: &mut Value, change: impl Fn(&mut Value)) {
    each_list(answer, |logs| {
        logs.iter_mut()
            .filter(|log| log.is_object())
            .for_each(&change);
    });
}

/// Another hash of the same form.
fn flip(hash: &mut Value) {
    let Some(text) = hash.as_str() else { return };
    let last = if text.ends_with('0') { '1' } else { '0' };
    let kept = &text[..text.floor_char_boundary(text.len().saturating_sub(1))];
    *hash = json!(format!("{kept}{last}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distorted(fault: &Fault, answer: &Value) -> Value {
        serde_json::from_str(&distort(fault, &answer.to_string())).unwrap_or(json!("no JSON"))
    }

    #[test]
    fn each_fault_leaves_its_mark() {
        let batch = json!([{ "id": 1, "result": "0x1" }, { "id": 2, "error": {} }]);
        let ids = |fault| {
            let answers = distorted(&fault, &batch);
            let ids = answers.as_array().into_iter().flatten();
            ids.map(|one| one["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(Fault::DuplicateId), [1, 2, 1]);
        assert_eq!(ids(Fault::MissingAnswer), [1]);
        assert_eq!(ids(Fault::Reordered), [2, 1]);
        assert_eq!(ids(Fault::ForeignId), ["nobody's", "nobody's"]);
        let null = distorted(&Fault::Null, &batch);
        assert_eq!(null[0]["result"], Value::Null);
        assert_eq!(null[1], json!({ "id": 2, "error": {} }));
        for fault in [Fault::Garbage, Fault::Truncated] {
            assert_eq!(distorted(&fault, &batch), json!("no JSON"));
        }
    }

    #[test]
    fn logs_and_headers_lie() {
        let log = |hash: &str, number: &str| json!({ "blockHash": hash, "blockNumber": number });
        let logs = json!({ "id": 1, "result": [log("0xa0", "0x1"), log("0xb1", "0x2")] });
        let result = |fault| distorted(&fault, &logs)["result"].clone();
        assert_eq!(
            result(Fault::LogsOfAnotherBlock),
            json!([log("0xa1", "0x1"), log("0xb0", "0x2")])
        );
        assert_eq!(
            result(Fault::LogsOutOfOrder),
            json!([log("0xb1", "0x2"), log("0xa0", "0x1")])
        );
        assert_eq!(result(Fault::LogMissing), json!([log("0xa0", "0x1")]));
        assert_eq!(result(Fault::LogsOutOfRange)[0]["blockNumber"], "0xfffffff");
        let note = json!({ "params": { "result": { "parentHash": "0x12" } } });
        assert_eq!(
            distorted(&Fault::WrongParent, &note)["params"]["result"]["parentHash"],
            "0x10"
        );
    }
}
