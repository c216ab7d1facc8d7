//! Lists: plain, not empty, and without repetition.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use serde_json::{Value, json};
use toml::de::DeValue;

use crate::decode::{At, Decode, Decoder, Node};

impl<T: Decode> Decode for Vec<At<T>> {
    const EXPECTS: &'static str = "a list";

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        decoder.list::<Self, T>(node)
    }
}

/// A list that is not empty as it was written, though every entry of it may have been bad.
pub(crate) struct NonEmpty<T>(pub(crate) Vec<At<T>>);

impl<T: Decode> Decode for NonEmpty<T> {
    const EXPECTS: &'static str = "a list";

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema(), "minItems": 1 })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        if node
            .get_ref()
            .as_array()
            .is_some_and(|array| array.is_empty())
        {
            let message = format!("`{}` is empty", decoder.keys());
            decoder.report(node.span(), message, "empty");
            return None;
        }
        decoder.list::<Self, T>(node).map(Self)
    }
}

/// A list without repetition, in the order it was written; and whether it is all that was
/// written, with no entry left out since it was bad.
pub(crate) struct Set<T>(pub(crate) Vec<At<T>>, bool);

impl<T: Decode + Ord + Copy + Display> Decode for Set<T> {
    const EXPECTS: &'static str = "a list";

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema(), "uniqueItems": true })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let items: Vec<At<T>> = decoder.list::<Self, T>(node)?;
        report_repeated(&items, decoder);
        let written = node.get_ref().as_array().map_or(0, |array| array.len());
        let is_whole = items.len() == written;
        Some(Self(items, is_whole))
    }
}

impl<T: Ord + Copy> Set<T> {
    pub(crate) fn values(&self) -> BTreeSet<T> {
        self.0.iter().map(|item| item.value).collect()
    }

    /// Whether what is not in it was not written, either.
    pub(crate) fn is_whole(&self) -> bool {
        self.1
    }
}

/// A list without repetition that is not empty as it was written, though every entry of it may
/// have been bad.
pub(crate) struct NonEmptySet<T>(pub(crate) Vec<At<T>>);

impl<T: Decode + Ord + Copy + Display> Decode for NonEmptySet<T> {
    const EXPECTS: &'static str = "a list";

    fn schema() -> Value {
        let mut list = NonEmpty::<T>::schema();
        list["uniqueItems"] = json!(true);
        list
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let NonEmpty(items) = NonEmpty::decode(node, decoder)?;
        report_repeated(&items, decoder);
        Some(Self(items))
    }
}

/// One value, or a list of them that is not empty as it was written. Whether one stands in it
/// twice is for the caller to [report](report_repeated).
pub(crate) struct OneOrMore<T>(pub(crate) Vec<At<T>>);

impl<T: Decode> Decode for OneOrMore<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn schema() -> Value {
        let mut list = NonEmpty::<T>::schema();
        list["uniqueItems"] = json!(true);
        json!({ "anyOf": [T::schema(), list] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        if matches!(node.get_ref(), DeValue::Array(_)) {
            return NonEmpty::decode(node, decoder).map(|NonEmpty(items)| Self(items));
        }
        At::decode(node, decoder).map(|item| Self(vec![item]))
    }
}

/// Reports each value of the list that is being decoded that stands in it before.
pub(crate) fn report_repeated<T: Ord + Copy + Display>(items: &[At<T>], decoder: &mut Decoder) {
    let mut first = BTreeMap::new();
    for item in items {
        if let Some(first) = first.insert(item.value, item.span.clone()) {
            let message = format!("`{}` names {} twice", decoder.keys(), item.value);
            decoder.report_twice(first, item.span.clone(), message, "take one out");
        }
    }
}
