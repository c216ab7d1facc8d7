//! Typed data (EIP-712), looked at before it is resolved: its author is a module, and types that
//! take a line to write can take all memory to resolve.

use std::collections::{BTreeMap, BTreeSet};

use alloy_dyn_abi::eip712;
use nexum_types::{B256, ChainId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The longest JSON, in bytes.
pub const MAX_TYPED_DATA_BYTES: usize = 64 * 1024;
/// The most types that are defined, all of their text together, and what they come to once those
/// in them stand in their place.
const MAX_TYPES: usize = 64;
const MAX_TYPES_BYTES: usize = 8 * 1024;
const MAX_RESOLVED: u64 = 4096;
/// Arrays of arrays.
const MAX_DIMENSIONS: usize = 4;
/// What alloy says of a wrong value has the value in it.
const MAX_TOLD_CHARS: usize = 256;

const DOMAIN: &str = "EIP712Domain";
/// The fields of a domain, in their order (EIP-712).
const DOMAIN_FIELDS: [(&str, &str); 5] = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
];

/// Typed data that can be signed.
#[derive(Debug, Clone)]
pub struct TypedData {
    digest: B256,
    chain: Option<ChainId>,
    json: String,
}

/// Why typed data is not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedDataError {
    /// It is too long.
    #[error("typed data has at most {MAX_TYPED_DATA_BYTES} bytes, and this has {0}")]
    TooLong(usize),
    /// It is not the JSON that it should be.
    #[error("typed data is a JSON object with `types`, `primaryType`, `domain` and `message`: {0}")]
    Json(String),
    /// There are too many types.
    #[error("typed data defines at most {MAX_TYPES} types with {MAX_TYPES_BYTES} bytes of names")]
    TooManyTypes,
    /// A type is none.
    #[error("`{0}` is no type of a field")]
    Type(String),
    /// A field is there twice.
    #[error("type `{of}` has two fields `{field}`")]
    FieldTwice {
        /// The type.
        of: String,
        /// The field.
        field: String,
    },
    /// A type is used and not defined.
    #[error("type `{0}` is not defined")]
    Undefined(String),
    /// The primary type cannot be signed.
    #[error("`primaryType` is `{0}`, which is no type for a message")]
    Primary(String),
    /// A type has itself in it.
    #[error("type `{0}` has itself in it")]
    Cyclic(String),
    /// The types come to too much.
    #[error("with all types in their places, `{0}` has more than {MAX_RESOLVED} fields")]
    TooLarge(String),
    /// The domain's type is not what the domain is.
    #[error("`types.EIP712Domain` is not what the domain has: {0}")]
    DomainType(String),
    /// The domain has what none has.
    #[error("the domain has `{0}`, and one has name, version, chainId, verifyingContract and salt")]
    DomainField(String),
    /// The domain's chain has no id of the kind that there is.
    #[error("the domain's chainId is no id of a chain")]
    ChainId,
    /// A value is not of its type.
    #[error("{0}")]
    Value(String),
}

#[derive(Deserialize)]
struct Raw {
    types: BTreeMap<String, Vec<RawField>>,
    #[serde(rename = "primaryType")]
    primary_type: String,
    domain: Map<String, Value>,
    message: Map<String, Value>,
}

#[derive(Deserialize)]
struct RawField {
    name: String,
    #[serde(rename = "type")]
    of: String,
}

impl TypedData {
    /// Checks and hashes it: takes a processor for as long as the bounds allow, so call it where
    /// blocking is allowed.
    pub fn parse(text: &str) -> Result<Self, TypedDataError> {
        if text.len() > MAX_TYPED_DATA_BYTES {
            return Err(TypedDataError::TooLong(text.len()));
        }
        let mut raw: Raw =
            serde_json::from_str(text).map_err(|error| TypedDataError::Json(told(&error)))?;
        let of_domain = raw.types.remove(DOMAIN);
        check_types(&raw.types)?;
        if !raw.types.contains_key(&raw.primary_type) {
            return Err(TypedDataError::Primary(raw.primary_type));
        }
        let mut sizes = BTreeMap::new();
        size(&raw.primary_type, &raw.types, &mut Vec::new(), &mut sizes)?;
        let fields = domain_fields(&raw.domain)?;
        if let Some(of_domain) = of_domain {
            check_domain(&of_domain, &fields)?;
        }
        let mut types: Map<String, Value> = Map::new();
        for (name, fields) in &raw.types {
            let fields = fields.iter().map(|field| (&*field.name, &*field.of));
            types.insert(name.clone(), definition(fields));
        }
        types.insert(DOMAIN.into(), definition(fields));
        // As every signer takes it, with what was left out.
        let whole = json!({
            "types": types,
            "primaryType": raw.primary_type,
            "domain": raw.domain,
            "message": raw.message,
        });
        let value = |error: &dyn std::fmt::Display| TypedDataError::Value(told(error));
        let data = eip712::TypedData::deserialize(&whole).map_err(|error| value(&error))?;
        let chain = match data.domain.chain_id {
            Some(id) => Some(ChainId(
                u64::try_from(id).map_err(|_| TypedDataError::ChainId)?,
            )),
            None => None,
        };
        let digest = data.eip712_signing_hash().map_err(|error| value(&error))?;
        Ok(Self {
            digest,
            chain,
            json: whole.to_string(),
        })
    }

    /// The hash that is signed.
    #[must_use]
    pub fn digest(&self) -> B256 {
        self.digest
    }

    /// The chain of its domain, where it has one.
    #[must_use]
    pub fn chain(&self) -> Option<ChainId> {
        self.chain
    }

    /// The whole, with `types.EIP712Domain`, as `eth_signTypedData` takes it.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }
}

fn told(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    match text.char_indices().nth(MAX_TOLD_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn definition<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let field = |(name, of)| json!({ "name": name, "type": of });
    fields.into_iter().map(field).collect()
}

fn is_identifier(text: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$');
    text.starts_with(begins) && text.chars().all(|c| begins(c) || c.is_ascii_digit())
}

/// The element of a type such as `Person[3][]`, if it is one.
fn element(of: &str) -> Option<&str> {
    let (element, mut rest) = of.split_at(of.find('[').unwrap_or(of.len()));
    let mut dimensions = 0;
    while !rest.is_empty() {
        let (length, more) = rest.strip_prefix('[')?.split_once(']')?;
        let is_length = length.len() <= 5 && length.bytes().all(|byte| byte.is_ascii_digit());
        dimensions += 1;
        if !is_length || dimensions > MAX_DIMENSIONS {
            return None;
        }
        rest = more;
    }
    is_identifier(element).then_some(element)
}

fn check_types(types: &BTreeMap<String, Vec<RawField>>) -> Result<(), TypedDataError> {
    let fields = || types.values().flatten();
    let names: usize = types.keys().map(String::len).sum();
    let texts: usize = fields()
        .map(|field| field.name.len() + field.of.len() + 2)
        .sum();
    if types.len() > MAX_TYPES || names + texts > MAX_TYPES_BYTES {
        return Err(TypedDataError::TooManyTypes);
    }
    for (name, fields) in types {
        // One named as a type of Solidity would not be the one that is meant.
        if !is_identifier(name) || is_of_solidity(name) {
            return Err(TypedDataError::Type(name.clone()));
        }
        let mut seen = BTreeSet::new();
        for RawField { name: field, of } in fields {
            if !is_identifier(field) || element(of).is_none() {
                return Err(TypedDataError::Type(format!("{of} {field}")));
            }
            if !seen.insert(field) {
                let (of, field) = (name.clone(), field.clone());
                return Err(TypedDataError::FieldTwice { of, field });
            }
        }
    }
    Ok(())
}

fn is_of_solidity(name: &str) -> bool {
    alloy_dyn_abi::DynSolType::parse(name).is_ok()
}

/// How many fields a type comes to once those in it stand in their place: what is resolved is a
/// tree, and grows with every use of a type, where what is written does not.
fn size<'a>(
    name: &'a str,
    types: &'a BTreeMap<String, Vec<RawField>>,
    above: &mut Vec<&'a str>,
    known: &mut BTreeMap<&'a str, u64>,
) -> Result<u64, TypedDataError> {
    if let Some(size) = known.get(name) {
        return Ok(*size);
    }
    if above.contains(&name) {
        return Err(TypedDataError::Cyclic(name.to_owned()));
    }
    let Some(fields) = types.get(name) else {
        if is_of_solidity(name) {
            return Ok(1);
        }
        return Err(TypedDataError::Undefined(name.to_owned()));
    };
    above.push(name);
    let mut sum = 1_u64;
    for field in fields {
        let element = element(&field.of).unwrap_or(&field.of);
        sum = sum.saturating_add(size(element, types, above, known)?);
    }
    above.pop();
    if sum > MAX_RESOLVED {
        return Err(TypedDataError::TooLarge(name.to_owned()));
    }
    known.insert(name, sum);
    Ok(sum)
}

/// Those that the domain has.
fn domain_fields(
    domain: &Map<String, Value>,
) -> Result<Vec<(&'static str, &'static str)>, TypedDataError> {
    let is_one = |key: &str| DOMAIN_FIELDS.iter().any(|(name, _)| *name == key);
    for (key, value) in domain {
        if !is_one(key) {
            return Err(TypedDataError::DomainField(told(key)));
        }
        if value.is_null() {
            let text = format!("`{key}` is null; leave it out");
            return Err(TypedDataError::DomainType(text));
        }
    }
    let has = |(name, _): &(&str, _)| domain.contains_key(*name);
    Ok(DOMAIN_FIELDS.into_iter().filter(has).collect())
}

/// What is hashed is what the domain has. Where the type says otherwise, others would hash
/// otherwise.
fn check_domain(of_domain: &[RawField], fields: &[(&str, &str)]) -> Result<(), TypedDataError> {
    let said: Vec<_> = of_domain
        .iter()
        .map(|field| (&*field.name, &*field.of))
        .collect();
    if said == fields {
        return Ok(());
    }
    let listed: Vec<_> = fields
        .iter()
        .map(|(name, of)| format!("{of} {name}"))
        .collect();
    let text = format!("write {}, in this order", listed.join(", "));
    Err(TypedDataError::DomainType(text))
}
